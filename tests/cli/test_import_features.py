"""`medssl import-features`: what TRIDENT and CLAM made is searched like our own."""

import json

import h5py
import numpy as np
import pytest

from napari_medssl.cli import main
from napari_medssl.index import Library, open_collection
from napari_medssl.io.slides import open_slide

SLIDE = "slides/CMU-1-Small-Region.svs"
FEATURES = "interop/h5/trident_features_synthetic.h5"


@pytest.fixture
def features(data_dir, tmp_path):
    """What TRIDENT wrote for the slide, under the slide's name."""
    (tmp_path / "uni").mkdir()
    path = tmp_path / "uni" / "CMU-1-Small-Region.h5"
    path.write_bytes((data_dir / FEATURES).read_bytes())
    return path


def run(features, data_dir, *words):
    library = features.parents[1] / "library"
    given = ["--slides", str(data_dir / SLIDE), "--library", str(library), *words]
    return main(["import-features", str(features), *given]), library


def test_features_of_trident_are_searched(features, data_dir, tmp_path, capsys):
    code, library = run(features, data_dir)
    assert code == 0
    assert "20 tiles of 1 slide imported into uni-1um-256px-" in capsys.readouterr().err
    with h5py.File(features) as file:
        coords, values = file["coords"][:], file["features"][:]
    collection = open_collection(Library.open(library), "uni")
    with open_slide(data_dir / SLIDE) as slide:
        fingerprint = slide.fingerprint
    assert collection.set_up.dim == 64
    for row in (0, 7, 19):
        tile = collection.nearest_tile(fingerprint, tuple(coords[row] + 256))
        assert (tile.x, tile.y, tile.size) == (*coords[row], 512)
        due = values[row] / np.linalg.norm(values[row])
        assert np.allclose(collection.vector(tile), due, atol=2e-3)
    out = tmp_path / "hits.json"
    at = ",".join(map(str, coords[7] + 256))
    words = ["--library", str(library), "--slide", str(data_dir / SLIDE), "--at", at]
    assert main(["search", *words, "--top", "3", "--out", str(out)]) == 0
    hits = json.loads(out.read_text())["hits"]
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    order = [i for i in np.argsort(-(unit @ unit[7])) if i != 7][:3]
    assert [(hit["x"], hit["y"]) for hit in hits] == [tuple(coords[i]) for i in order]


def test_a_second_import_replaces_the_first(features, data_dir):
    assert run(features, data_dir)[0] == 0
    with h5py.File(features, "a") as file:
        file["features"][0] = 1.0
    code, library = run(features, data_dir)
    assert code == 0
    collection = open_collection(Library.open(library))
    assert collection.tile_count == 20
    (record,) = collection.slides
    with h5py.File(features) as file:
        place = tuple(file["coords"][0] + 256)
    tile = collection.nearest_tile(record.fingerprint, place)
    assert np.allclose(collection.vector(tile), 1 / 8, atol=1e-3)


def test_features_without_sizes_need_one(features, data_dir, capsys):
    with h5py.File(features, "a") as file:
        for key in list(file["coords"].attrs):
            del file["coords"].attrs[key]
    assert run(features, data_dir)[0] == 2
    assert "does not say how large its tiles are" in capsys.readouterr().err
    code, library = run(features, data_dir, "--size", "512", "--name", "clam")
    assert code == 0
    assert open_collection(Library.open(library), "clam").set_up.size == 512


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda file: file["coords"].__setitem__((0, 0), 9_999_999), "outside the slide"),
        (lambda file: file["coords"].__setitem__(0, file["coords"][1]), "several tiles at one"),
        (lambda file: file.__delitem__("features"), "places of tiles but no features"),
    ],
)
def test_a_file_that_does_not_fit_is_told_and_the_library_stays(
    features, data_dir, change, text, capsys
):
    with h5py.File(features, "a") as file:
        change(file)
    code, library = run(features, data_dir)
    assert code == 2
    assert text in capsys.readouterr().err
    assert not Library.open(library).collections


def test_names_that_fit_nothing_are_told(features, data_dir, capsys):
    assert run(features, data_dir, "--name", "imagenet")[0] == 2
    assert "is an encoder of this program" in capsys.readouterr().err
    other = features.with_name("other.h5")
    with h5py.File(features.rename(other), "a") as file:
        file["coords"].attrs["name"] = "another"
    assert run(other, data_dir)[0] == 2
    assert "No slide is named 'other'" in capsys.readouterr().err
