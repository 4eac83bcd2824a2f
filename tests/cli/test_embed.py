"""`medssl embed` writes one row a picture, or nothing."""

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.embed import EmbedConfig, embed_images
from napari_medssl.backend.encoders import make_encoder
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.tile_pictures import fit_tile
from napari_medssl.cli import main
from napari_medssl.io.embedding_table import read_embeddings, write_embeddings


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (224, 224)), ("b/c.png", (300, 260)), ("b/d.png", (100, 90))):
        path = tmp_path / "tiles" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return tmp_path / "tiles"


def test_each_picture_has_a_row(folder, tmp_path, capsys):
    out = tmp_path / "e.parquet"
    assert main(["embed", str(folder), "--encoder", "histogram", "--out", str(out)]) == 0
    names, embeddings, encoder = read_embeddings(out)
    assert names == ["a.png", "b/c.png", "b/d.png"]
    assert embeddings.shape == (3, 512)
    assert (encoder["name"], encoder["dim"]) == ("histogram", 512)
    picture = np.asarray(Image.open(folder / "b" / "c.png"))
    due = make_encoder("histogram").embed(fit_tile(picture, 224)[None])
    assert np.allclose(embeddings[1], due[0])
    assert f"3 pictures in 512 dimensions written to {out}" in capsys.readouterr().err


def test_a_damaged_picture_is_told_and_left_out(folder, tmp_path, capsys):
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    out = tmp_path / "e.parquet"
    assert main(["embed", str(folder), "--encoder", "histogram", "--out", str(out)]) == 1
    assert "bad.png" in capsys.readouterr().err
    assert len(read_embeddings(out)[0]) == 3


def test_stopping_writes_nothing(folder, tmp_path):
    out = tmp_path / "e.parquet"
    config = EmbedConfig(encoder="histogram", batch=1)
    with pytest.raises(Cancelled, match="Stopped after 1 of 3 pictures; nothing is written"):
        embed_images([folder], out, config, should_stop=lambda: True)
    assert list(tmp_path.iterdir()) == [folder]


def test_the_batch_does_not_matter(folder, tmp_path):
    came = [
        embed_images([folder], tmp_path / "e", EmbedConfig("histogram", batch)).embeddings
        for batch in (1, 2, 32)
    ]
    assert (came[0] == came[1]).all()
    assert (came[0] == came[2]).all()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--encoder", "uni"], "No encoder is named 'uni'"),
        (["--encoder", "theirs.pt"], "does not exist"),
        (["--batch", "0"], "out of range"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder, tmp_path, capsys, words, text):
    out = tmp_path / "e.parquet"
    assert main(["embed", str(folder), "--out", str(out), *words]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_no_picture_is_told(tmp_path, capsys):
    assert main(["embed", str(tmp_path), "--out", str(tmp_path / "e.parquet")]) == 2
    assert "There is no picture" in capsys.readouterr().err


def test_a_table_that_is_none_is_told(tmp_path):
    path = tmp_path / "e.parquet"
    with pytest.raises(UserError, match="there is no such file"):
        read_embeddings(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="as a table of embeddings"):
        read_embeddings(path)
    write_embeddings(["a", "\udcff"], np.eye(2, dtype=np.float32), {"name": "x"}, path)
    names, values, encoder = read_embeddings(path)
    assert names == ["a", "\\udcff"]
    assert (values == np.eye(2)).all()
    assert encoder == {"name": "x"}
