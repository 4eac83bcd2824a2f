"""Groups of a map to files and back, columns of tables, and the middle rows of groups."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.labelled_tiles import read_labelled_tiles
from napari_medssl.backend.map_export import (
    export_groups,
    export_labels,
    import_groups,
    with_columns,
)
from napari_medssl.backend.map_pictures import FilePictures
from napari_medssl.backend.map_rows import MapSource
from napari_medssl.backend.medoids import medoids_of, split_group
from napari_medssl.io.name_table import read_name_table
from napari_medssl.io.table_columns import text_column
from napari_medssl.state.point_group import NONE
from napari_medssl.state.point_groups import PointGroups

NAMES = tuple(f"s{n % 2}_{n}.png" for n in range(6))


def unit(values):
    values = np.asarray(values, np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def made():
    embeddings = unit(np.random.default_rng(0).normal(size=(6, 4)))
    columns = {"folder": text_column(list("aabbcc")), "x": np.arange(6)}
    source = MapSource(NAMES, embeddings, columns, FilePictures([None] * 6), "made")
    return source, PointGroups.of_labels(np.array([0, 0, 1, 1, -1, 2]))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_groups_go_out_and_come_in_again(tmp_path, suffix):
    source, groups = made()
    out = tmp_path / f"g{suffix}"
    assert export_groups(source, groups, out, places=np.zeros((6, 2), np.float32)) == 6
    fresh = PointGroups(6)
    assert import_groups(source, fresh, out).rows == 6
    assert list(fresh.names()) == list(groups.names())
    fresh.undo()
    assert fresh.counts() == {NONE: 6}


def test_only_what_is_selected_goes_out(tmp_path):
    source, groups = made()
    mask = np.array([0, 1, 0, 0, 1, 0], bool)
    assert export_groups(source, groups, tmp_path / "g.csv", mask=mask) == 2
    assert read_name_table(tmp_path / "g.csv").names == ("s1_1.png", "s0_4.png")
    with pytest.raises(UserError, match="No row is selected"):
        export_groups(source, groups, tmp_path / "h.csv", mask=~mask & mask)
    assert not (tmp_path / "h.csv").exists()


def test_a_table_of_some_rows_changes_those_and_tells_the_rest(tmp_path):
    source, groups = made()
    (tmp_path / "t.csv").write_text("image,group\ns0_0.png,new\ngone.png,new\ns1_5.png,\n")
    told = import_groups(source, groups, tmp_path / "t.csv")
    assert (told.rows, told.unknown) == (2, ("gone.png",))
    assert list(groups.names()) == ["new", "cluster 0", "cluster 1", "cluster 1", "", ""]


def test_labels_are_what_the_program_trains_by(tmp_path):
    source, groups = made()
    for name in NAMES:
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name)
    assert export_labels(source, groups, tmp_path / "tiles.csv") == 5
    (tiles,) = read_labelled_tiles(tmp_path)
    assert tiles.classes == ("cluster 0", "cluster 0", "cluster 1", "cluster 1", "cluster 2")
    assert tiles.slides == ("s0", "s1", "s0", "s1", "s1")


def test_columns_of_a_table_are_joined_by_name(tmp_path):
    source, _ = made()
    (tmp_path / "t.csv").write_text("image,age,site,x\ns0_2.png,7,A,9\nno.png,1,B,9\n")
    joined, told = with_columns(source, tmp_path / "t.csv")
    assert (told.rows, told.unknown) == (1, ("no.png",))
    assert np.array_equal(joined.columns["age"], [np.nan] * 2 + [7] + [np.nan] * 3, equal_nan=True)
    assert list(joined.columns["site"]) == ["", "", "A", "", "", ""]
    assert joined.columns["x"][2] == 9
    assert list(source.columns) == ["folder", "x"]
    rows = "".join(f"{name},{n}\n" for n, name in enumerate(reversed(NAMES)))
    (tmp_path / "t.csv").write_text("image,age\n" + rows)
    joined, _ = with_columns(source, tmp_path / "t.csv")
    assert list(joined.columns["age"]) == [5, 4, 3, 2, 1, 0]
    assert joined.columns["age"].dtype == np.int64


def test_the_middle_rows_have_the_greatest_mean_cosine():
    """Against every row compared with every other."""
    random = np.random.default_rng(0)
    embeddings = unit(random.normal(size=(200, 8)) + 1)
    ids = random.integers(0, 4, 200).astype(np.int32)
    found = medoids_of(embeddings, ids, 1)
    assert list(found) == [0, 1, 2, 3]
    for key, rows in found.items():
        (own,) = np.nonzero(ids == key)
        mean = (embeddings[own] @ embeddings[own].T).mean(axis=1)
        assert rows[0] == own[mean.argmax()]


def test_copies_of_one_picture_do_not_fill_the_strip():
    embeddings = unit([[1, 0.01 * n] for n in range(5)] + [[1, -0.4], [1, 0.5]])
    (rows,) = medoids_of(embeddings, np.zeros(7, np.int32), 3).values()
    assert {5, 6} < set(rows.tolist())
    (rows,) = medoids_of(embeddings[:5], np.zeros(5, np.int32), 3).values()
    assert len(rows) == 3
    (rows,) = medoids_of(embeddings[:2], np.full(2, 9, np.int32), 3).values()
    assert sorted(rows) == [0, 1]


def test_medoids_stop_and_refuse():
    with pytest.raises(Cancelled):
        medoids_of(unit(np.eye(3)), np.zeros(3, np.int32), 1, should_stop=lambda: True)
    with pytest.raises(ValueError, match="2 ids and count 1 came for 3 rows"):
        medoids_of(unit(np.eye(3)), np.zeros(2, np.int32), 1)
    assert medoids_of(np.empty((0, 3), np.float32), np.empty(0, np.int32), 1) == {}


def test_a_group_is_split_by_what_is_alike():
    centres = np.repeat(np.eye(3), [20, 10, 30], axis=0)
    embeddings = unit(centres + 0.01 * np.random.default_rng(0).normal(size=(60, 3)))
    groups = PointGroups.of_labels(np.array([0] * 30 + [1] * 30))
    labels = split_group(embeddings, groups.rows_of(1), 2, seed=0)
    assert list(labels) == [0] * 20 + [1] * 10
    groups.split(1, labels)
    assert list(groups.counts().values()) == [0, 20, 30, 10]
    for k in (0, 1, 31):
        with pytest.raises(UserError, match=f"30 rows cannot be split into {k} parts"):
            split_group(embeddings, np.arange(30), k)
