"""`medssl tiles` writes a table, and says in a line what it could not do."""

import numpy as np
import pytest
from PIL import Image

from napari_medssl.cli import main
from napari_medssl.io.tile_table import read_tiles


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    stain = np.repeat(np.repeat(rng.random((32, 32)), 8, 0), 8, 1)[..., None] * (0.3, 1.0, 0.4)
    path = tmp_path / "slide.png"
    Image.fromarray((240 * np.exp(-stain)).astype(np.uint8)).save(path)
    return path


def test_a_table_is_written(picture, tmp_path, capsys):
    out, save = tmp_path / "t.parquet", tmp_path / "tiles"
    options = ["--mpp", "8", "--size", "64", "--slide-mpp", "8", "--save", str(save)]
    assert main(["tiles", str(picture), "--out", str(out), *options]) == 0
    assert len(read_tiles(out)) == 16 == len(list(save.iterdir()))
    assert capsys.readouterr().err == f"16 tiles written to {out}\n"


def test_an_empty_table_is_told(tmp_path, capsys):
    path, out = tmp_path / "white.png", tmp_path / "t.parquet"
    Image.new("RGB", (256, 256), "white").save(path)
    assert main(["tiles", str(path), "--out", str(out), "--slide-mpp", "0.5", "--size", "64"]) == 0
    assert "warning: No tile shows enough tissue" in capsys.readouterr().err
    assert len(read_tiles(out)) == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "with --slide-mpp"),
        (["--mpp", "0"], "'0' is out of range"),
        (["--slide-mpp", "8", "--size", "512", "--mpp", "8"], "smaller than one tile of 512"),
    ],
)
def test_what_cannot_be_done_is_one_line(picture, tmp_path, capsys, options, text):
    out = tmp_path / "t.parquet"
    assert main(["tiles", str(picture), "--out", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_slide_is_never_written_over(picture, tmp_path, capsys):
    before = picture.read_bytes()
    assert main(["tiles", str(picture), "--out", str(picture), "--slide-mpp", "1"]) == 2
    assert "is an input" in capsys.readouterr().err
    assert picture.read_bytes() == before
    gone = tmp_path / "gone" / "t.parquet"
    assert main(["tiles", str(picture), "--out", str(gone), "--slide-mpp", "1"]) == 2
    assert "Choose a folder that exists" in capsys.readouterr().err
