"""A table of tiles comes back as it was, and what is no table is refused in a line."""

import json

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from napari_medssl._errors import UserError
from napari_medssl.io.tile_table import TileSource, TileTable, read_tiles, write_tiles

SOURCE = TileSource("0123abc", 0.25, 0.5, 224, overlap=0.25, min_tissue=0.5)


def table(count=5):
    rng = np.random.default_rng(0)
    return TileTable(
        rng.integers(0, 10**6, (count, 2)),
        448,
        rng.random(count, np.float32),
        np.where(rng.random(count) < 0.3, np.nan, rng.random(count)).astype(np.float32),
        SOURCE,
    )


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_table_comes_back(tmp_path, count):
    due = table(count)
    write_tiles(due, tmp_path / "t.parquet")
    found = read_tiles(tmp_path / "t.parquet")
    assert (found.locations == due.locations).all()
    assert found.locations.shape == (count, 2)
    np.testing.assert_array_equal(found.tissue, due.tissue)
    np.testing.assert_array_equal(found.blur, due.blur)
    assert (found.size, found.source, len(found)) == (448, SOURCE, count)


def test_other_programs_see_columns_and_metadata(tmp_path):
    write_tiles(table(), tmp_path / "t.parquet")
    read = parquet.read_table(tmp_path / "t.parquet")
    assert read.column_names == ["x", "y", "size", "tissue", "blur"]
    assert set(read["size"].to_pylist()) == {448}
    about = json.loads(read.schema.metadata[b"napari-medssl"])
    assert about["slide"] == "0123abc"
    assert (about["mpp"], about["pixels"]) == (0.5, 224)


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    write_tiles(table(3), path)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet, "write_table", fail)
    with pytest.raises(UserError, match="No space left"):
        write_tiles(table(9), path)
    assert len(read_tiles(path)) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def altered(path, change):
    write_tiles(table(), path)
    read = parquet.read_table(path)
    parquet.write_table(change(read), path)


CHANGES = {
    "no column": (lambda t: t.drop_columns(["blur"]), "has no column 'blur', so it is no table"),
    "no metadata": (lambda t: t.replace_schema_metadata({}), "does not say of which slide"),
    "half metadata": (
        lambda t: t.replace_schema_metadata({"napari-medssl": '{"format": 1}'}),
        "does not say of which slide",
    ),
    "later format": (
        lambda t: t.replace_schema_metadata({"napari-medssl": '{"format": 9}'}),
        "is of format 9; due is 1",
    ),
    "text": (
        lambda t: t.set_column(0, "x", pyarrow.array(["a"] * len(t))),
        "Column 'x' of 't.parquet' is of type",
    ),
    "gaps": (
        lambda t: t.set_column(0, "x", pyarrow.array([None, 1, 2, 3, 4])),
        "Column 'x' of 't.parquet' is of type float64 or has gaps",
    ),
    "sizes": (
        lambda t: t.set_column(2, "size", pyarrow.array([1, 2, 3, 4, 5])),
        "are of several sizes",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_no_table_of_tiles_is_refused(tmp_path, name):
    change, text = CHANGES[name]
    path = tmp_path / "t.parquet"
    altered(path, change)
    with pytest.raises(UserError, match=text) as caught:
        read_tiles(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000, None])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "t.parquet"
    if content is None:
        write_tiles(table(1000), path)
        content = path.read_bytes()[:-40]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"Cannot read 't.parquet' as a table of tiles"):
        read_tiles(path)
    with pytest.raises(UserError, match="there is no such file"):
        read_tiles(tmp_path / "gone.parquet")
