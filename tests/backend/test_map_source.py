"""What a map is made of: folders of pictures, files of features, libraries."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import map_folder
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.map_source import SourceConfig, has_embeddings, open_source
from napari_medssl.index.library import Library
from napari_medssl.io.embedding_table import write_embeddings
from napari_medssl.io.images import ImageRef

sys.path.insert(0, str(Path(__file__).parents[1] / "index"))
from index_world import DIM, make_set_up, make_vectors, put_slide

HISTOGRAM = SourceConfig(encoder="histogram", device="cpu")


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    folder = tmp_path / "cells"
    for number in range(6):
        place = folder / ("red", "blue")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 99, (20, 20, 3), np.uint8) + np.uint8(20 * number)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


@pytest.fixture
def cache(tmp_path):
    return DiskCache(tmp_path / "cache", 10**9)


def is_unit(source):
    lengths = np.linalg.norm(source.embeddings, axis=1)
    return source.embeddings.dtype == np.float32 and np.allclose(lengths, 1, atol=1e-6)


def test_a_folder_of_pictures_with_their_classes(folder, cache):
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (folder / "7.png").write_bytes((folder / "red" / "0.png").read_bytes())
    source = open_source(folder, HISTOGRAM, cache=cache)
    assert source.names == ("7.png", *(f"blue/{n}.png" for n in (1, 3, 5)),
                            *(f"red/{n}.png" for n in (0, 2, 4)))  # fmt: skip
    assert list(source.columns["folder"]) == ["cells", *["blue"] * 3, *["red"] * 3]
    assert [name for name, _ in source.failures] == ["bad.png"]
    assert is_unit(source)
    assert source.pictures[1] == ImageRef(folder / "blue" / "1.png")
    assert source.pictures.row_of(ImageRef(folder / "blue" / "1.png")) == 1
    assert len(source.pictures) == len(source) == 7


def test_a_folder_opens_from_the_cache_until_a_picture_changes(folder, cache, monkeypatch):
    runs = []
    really = map_folder.embed_pictures

    def counted(*given, **more):
        runs.append(1)
        return really(*given, **more)

    monkeypatch.setattr(map_folder, "embed_pictures", counted)
    first = open_source(folder, HISTOGRAM, cache=cache)
    again = open_source(folder, HISTOGRAM, cache=cache)
    assert len(runs) == 1
    assert (again.names, again.by, again.content) == (first.names, first.by, first.content)
    assert again.pictures[0] == first.pictures[0]
    moved = folder.rename(folder.with_name("moved"))
    assert open_source(moved, HISTOGRAM, cache=cache).content == first.content
    assert len(runs) == 1, "where the folder lies is nothing of its content"
    os.utime(moved / "red" / "0.png", ns=(1, 1))
    open_source(moved, HISTOGRAM, cache=cache)
    (moved / "red" / "0.png").unlink()
    assert len(open_source(moved, HISTOGRAM, cache=cache)) == 5
    assert len(runs) == 3


def test_a_damaged_cache_is_made_again(folder, cache, tmp_path):
    first = open_source(folder, HISTOGRAM, cache=cache)
    (kept,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    kept.write_bytes(kept.read_bytes()[:-7])
    assert open_source(folder, HISTOGRAM, cache=cache).content == first.content


def test_another_encoder_is_another_map(folder, cache):
    first = open_source(folder, HISTOGRAM, cache=cache)
    views = open_source(folder, SourceConfig(device="cpu"), cache=cache)
    assert is_unit(views)
    assert views.names == first.names
    assert views.content != first.content
    assert views.by == "ImageNet features, fitted to views of these pictures"


def test_stopped_while_embedding_leaves_nothing(folder, cache):
    with pytest.raises(Cancelled, match="Stopped after 0 of 6 pictures"):
        open_source(folder, HISTOGRAM, cache=cache, should_stop=lambda: True)
    assert cache.size_bytes() == 0


def table(path, values, names=None):
    values = np.asarray(values, np.float32)
    write_embeddings(names or [f"{n}.png" for n in range(len(values))], values, {"name": "e"}, path)
    return path


def test_a_table_finds_its_pictures_beside_it(folder, tmp_path):
    names = ["red/0.png", "blue/1.png", "../secret.png", "gone.png#page=2"]
    for path in (tmp_path / "cells.parquet", folder / "t.parquet"):
        source = open_source(table(path, np.eye(4) * 3, names))
        assert is_unit(source)
        assert source.pictures[0] == ImageRef(folder / "red" / "0.png")
        assert source.pictures[2] is None, "names do not lead out of the folder"
        assert source.pictures[3].page == 2
        assert list(source.columns["folder"])[:2] == ["red", "blue"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = table(elsewhere / "t.parquet", np.eye(4), names)
    assert open_source(path).pictures[0] is None
    found = open_source(path, SourceConfig(pictures=folder)).pictures[0]
    assert found == ImageRef(folder / "red" / "0.png")


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        (
            [[1, 0], [np.nan, 1]],
            None,
            "1 of 2 rows of .* hold NaN or infinity, the first is '1.png'",
        ),
        ([[1, 0], [0, np.inf]], None, "hold NaN or infinity"),
        ([[1, 0], [0, 0], [0, 0]], None, "2 of 3 rows of .* are all zeros, the first is '1.png'"),
        ([[1, 0]], None, "holds 1 rows; at least 2 are due"),
        ([[1, 0], [0, 1], [1, 1]], ["a", "b", "a"], "'a' stands in 2 rows .*, such as 1 and 3"),
        ([[1, 0], [2, 0]], None, "All 2 rows of .* have the same embedding"),
    ],
)
def test_rows_that_no_map_can_be_made_of(tmp_path, values, names, message):
    with pytest.raises(UserError, match=message) as told:
        open_source(table(tmp_path / "t.parquet", values, names))
    assert "\n" not in str(told.value)


def test_an_array_with_its_table(tmp_path):
    np.save(tmp_path / "f.npy", np.eye(3) * 5)
    (tmp_path / "f.csv").write_text("file,class\na,x\nb,y\nc,x\n")
    source = open_source(tmp_path / "f.npy")
    assert source.names == ("a", "b", "c")
    assert list(source.columns) == ["class"]
    assert is_unit(source)


def tiles(path, features, **about):
    with h5py.File(path, "w") as file:
        file["coords"] = np.arange(2 * len(features)).reshape(-1, 2) * 100
        file["coords"].attrs.update(about)
        file["features"] = features
    return path


def test_a_folder_of_files_of_tiles(tmp_path, data_dir):
    features = tmp_path / "features"
    features.mkdir()
    tiles(features / "CMU-1-Small-Region.h5", np.eye(3, dtype="f4"), patch_size_level0=100)
    tiles(features / "other.h5", -np.eye(3, dtype="f4"), patch_size_level0=100)
    source = open_source(features, SourceConfig(slides=data_dir / "slides"))
    assert source.names[0] == "CMU-1-Small-Region#0,100"
    assert list(source.columns["slide"]) == ["CMU-1-Small-Region"] * 3 + ["other"] * 3
    tile = source.pictures[1]
    assert tile.slide.path.endswith("CMU-1-Small-Region.svs")
    assert (tile.x, tile.y, tile.size) == (200, 300, 100)
    assert source.pictures[3] is None, "its slide was not found"
    assert list(source.pictures.rows_in(0, (200, 300, 300, 400))) == [1]
    tiles(features / "wide.h5", np.eye(3, 5, dtype="f4"))
    with pytest.raises(UserError, match=r"'wide.h5' has 5 dimensions, 'CMU-1.*' has 3"):
        open_source(features)


def test_tiles_at_one_place_are_told(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["coords"], file["features"] = np.zeros((2, 2), int), np.eye(2)
    with pytest.raises(UserError, match="'a#0,0' stands in 2 rows"):
        open_source(tmp_path / "a.h5")


def test_a_library_has_slides_patients_and_places(tmp_path):
    library = Library.open(tmp_path / "library", make=True)
    vectors = make_vectors(130)
    put_slide(library, 7, vectors[:60], patient="P1")
    put_slide(library, 3, vectors[60:])
    source = open_source(tmp_path / "library")
    assert source.names[:2] == ("3.svs#0,0", "3.svs#32,0")
    assert len(source) == 130
    assert is_unit(source)
    assert np.allclose(source.embeddings, np.concatenate([vectors[60:], vectors[:60]]), atol=1e-3)
    assert list(source.columns["patient"]) == [""] * 70 + ["P1"] * 60
    assert source.columns["y"][50] == 32
    tile = source.pictures[51]
    assert (tile.x, tile.y, tile.size, tile.slide.path) == (32, 32, 32, "/slides/3.svs")
    assert source.by == "encoder made"
    library.remove_slide(f"{3:032x}")
    left = open_source(tmp_path / "library")
    assert set(left.columns["slide"]) == {"7.svs"}


def test_a_collection_of_several(tmp_path):
    library = Library.open(tmp_path / "library", make=True)
    put_slide(library, 1, make_vectors(5))
    put_slide(library, 1, make_vectors(6), set_up=make_set_up(encoder="other"))
    with pytest.raises(UserError, match="holds 2 collections that fit"):
        open_source(tmp_path / "library")
    assert len(open_source(tmp_path / "library", SourceConfig(encoder="other"))) == 6
    (folder,) = (tmp_path / "library").glob("made-*.embeddings")
    source = open_source(folder)
    assert source.embeddings.shape == (5, DIM)
    assert list(source.columns) == ["slide", "x", "y", "size", "tissue"]


def test_slides_of_one_file_name_are_told_apart(tmp_path):
    library = Library.open(tmp_path / "library", make=True)
    put_slide(library, 1, make_vectors(2))
    put_slide(library, 2, make_vectors(2, seed=1))
    for manifest in (tmp_path / "library").rglob("manifest.json"):
        text = manifest.read_text()
        manifest.write_text(text.replace("/slides/1.svs", "/a/x.svs").replace("/slides/2", "/b/x"))
    names = open_source(tmp_path / "library").names
    assert {name.partition("#")[0] for name in names} == {"x.svs~00000001", "x.svs~00000002"}


def test_what_is_not_there_is_told(tmp_path, cache):
    with pytest.raises(UserError, match=r"There is no '.*nothing'. Give a folder, a file or"):
        open_source(tmp_path / "nothing")
    with pytest.raises(UserError, match="There is no picture in what was given"):
        open_source(tmp_path, HISTOGRAM, cache=cache)
    (tmp_path / "notes.txt").write_text("no")
    with pytest.raises(UserError):
        open_source(tmp_path / "notes.txt", HISTOGRAM, cache=cache)


def test_features_of_any_size_have_a_direction(tmp_path):
    values = np.array([[3e25, 4e25], [3, 4], [3e-30, -4e-30]], np.float32)
    np.save(tmp_path / "f.npy", values)
    (tmp_path / "f.csv").write_text("image\na\nb\nc\n")
    source = open_source(tmp_path / "f.npy")
    np.testing.assert_allclose(source.embeddings, [[0.6, 0.8], [0.6, 0.8], [0.6, -0.8]], rtol=1e-5)


def test_what_holds_embeddings_needs_no_network(tmp_path):
    np.save(tmp_path / "rows.npy", np.eye(3, dtype=np.float32))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    assert has_embeddings(tmp_path / "rows.npy")
    assert has_embeddings("s3://bucket/library")
    assert not has_embeddings(pictures)
    assert not has_embeddings(pictures / "one.png")
    assert not has_embeddings(tmp_path / "nowhere")
