"""`medssl slide`: what it says, what it keeps to itself, what it writes."""

import json

import numpy as np
import pytest
from PIL import Image

from napari_medssl.cli import main

pytestmark = pytest.mark.data


@pytest.fixture
def svs(data_dir):
    return str(data_dir / "slides" / "CMU-1-Small-Region.svs")


def test_info_is_for_people(svs, capsys):
    assert main(["slide", "info", svs]) == 0
    out = capsys.readouterr().out
    assert "size         2220 x 2967 pixels (1.11 x 1.48 mm)" in out
    assert "mpp          0.499\n" in out
    assert "objective    20x" in out


def test_nobody_is_named_unless_all_is_asked_for(svs, capsys):
    private = ("label", "macro", "CPAPERIOCS", "12/29/09", "b414003d")
    for options in ([], ["--json"]):
        assert main(["slide", "info", svs, *options]) == 0
        out = capsys.readouterr().out
        assert not [word for word in private if word in out]
        assert main(["slide", "info", svs, "--all", *options]) == 0
        out = capsys.readouterr().out
        assert not [word for word in private if word not in out]


def test_json_has_what_programs_need(svs, capsys):
    assert main(["slide", "info", svs, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["width"], found["height"], found["mpp"]) == (2220, 2967, [0.499, 0.499])
    assert found["kind"] == "aperio"
    assert len(found["fingerprint"]) == 32
    assert found["levels"][0]["tile_width"] == 240
    assert set(found["properties"]) == {
        *("openslide.vendor", "openslide.mpp-x", "openslide.mpp-y", "openslide.objective-power")
    }


def test_a_slide_without_mpp_says_so(data_dir, capsys):
    place = data_dir / "interop" / "omezarr" / "omezarrpy_0.5.zarr"
    assert main(["slide", "info", str(place)]) == 0
    out = capsys.readouterr().out
    assert "kind         ome-zarr" in out
    assert "mpp          not known" in out


def test_a_thumbnail_has_the_asked_size(svs, tmp_path, capsys):
    out = tmp_path / "x.png"
    assert main(["slide", "thumbnail", svs, "--out", str(out), "--size", "300"]) == 0
    assert capsys.readouterr().out == f"{out}: 224 x 300 pixels\n"
    pixels = np.asarray(Image.open(out))
    assert pixels.shape == (300, 224, 3)
    assert pixels.std() > 5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["info", "gone.svs"], "there is no such file"),
        (["thumbnail", "SVS", "--out", "x.doc"], "due is a name that ends in .png"),
        (["thumbnail", "SVS", "--out", "no/folder/x.png"], "Choose a folder that exists"),
        (["thumbnail", "SVS", "--out", "x.png", "--size", "0"], "out of range: due is 16 to 8192"),
    ],
)
def test_bad_wishes_are_one_line(svs, tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert main(["slide", *(svs if a == "SVS" else a for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
