"""`medssl embed` writes one row a picture, or nothing."""

import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import tile_pictures
from napari_medssl.backend.embed import EmbedConfig, embed_images
from napari_medssl.backend.encoders import make_encoder
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.tile_pictures import fit_tile, read_tile
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


def test_stopping_before_the_first_picture_writes_nothing(folder, tmp_path):
    out = tmp_path / "e.parquet"
    config = EmbedConfig(encoder="histogram", batch=1)
    with pytest.raises(Cancelled, match="Stopped after 0 of 3 pictures; nothing is written"):
        embed_images([folder], out, config, should_stop=lambda: True)
    assert list(tmp_path.iterdir()) == [folder]


def stop_after(folder, out, count, config):
    """Stop a run after some pictures; return what it said."""
    seen = []
    with pytest.raises(Cancelled) as told:
        embed_images(
            [folder],
            out,
            config,
            on_progress=seen.append,
            should_stop=lambda: seen[-1].done >= count,
        )
    return str(told.value)


def test_a_stopped_run_goes_on_where_it_was(folder, tmp_path, monkeypatch, capsys):
    out, parts = tmp_path / "e.parquet", tmp_path / "e.parquet.parts"
    config = EmbedConfig(encoder="histogram", batch=1)
    said = stop_after(folder, out, 2, config)
    assert said.startswith(f"Stopped after 2 of 3 pictures, which are kept in {str(parts)!r}.")
    assert not out.exists()
    due = embed_images([folder], tmp_path / "whole.parquet", config)
    read = []
    monkeypatch.setattr(
        tile_pictures, "read_tile", lambda ref, side: read.append(ref) or read_tile(ref, side)
    )
    assert main(["embed", str(folder), "--encoder", "histogram", "--out", str(out)]) == 0
    assert "2 pictures of an earlier run were not embedded again" in capsys.readouterr().err
    assert [ref.name for ref in read] == ["d.png"]
    names, embeddings, _ = read_embeddings(out)
    assert tuple(names) == due.images
    assert (embeddings == due.embeddings).all()
    assert not parts.exists()


def test_a_picture_that_was_changed_is_embedded_again(folder, tmp_path):
    out, config = tmp_path / "e.parquet", EmbedConfig(encoder="histogram", batch=1)
    stop_after(folder, out, 2, config)
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(folder / "a.png")
    report = embed_images([folder], out, config)
    assert report.resumed == 1
    black = make_encoder("histogram").embed(np.zeros((1, 224, 224, 3), np.uint8))
    assert (report.embeddings[0] == black[0]).all()


def test_parts_of_another_encoder_or_damaged_ones_are_not_used(folder, tmp_path):
    out, config = tmp_path / "e.parquet", EmbedConfig(encoder="histogram", batch=1)
    stop_after(folder, out, 2, config)
    (part,) = (tmp_path / "e.parquet.parts").iterdir()
    names, rows, encoder = read_embeddings(part)
    write_embeddings(names, rows, encoder | {"sha256": "other"}, part)
    (part.parent / "000007.parquet").write_bytes(b"cut off")
    (part.parent / ".writing-x.parquet").write_bytes(b"")
    (part.parent / "mine.txt").write_text("a person's own")
    report = embed_images([folder], out, config)
    assert report.resumed == 0
    assert len(read_embeddings(out)[0]) == 3
    assert [path.name for path in part.parent.iterdir()] == ["mine.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills in another way")
def test_a_killed_run_goes_on_from_its_last_part(folder, tmp_path, monkeypatch, capsys):
    """Killed at a random moment after the first part, the table is the one of an unbroken run."""
    for number in range(40):
        shutil.copy(folder / "a.png", folder / f"{number}.png")
    out, whole = tmp_path / "e.parquet", tmp_path / "whole.parquet"
    code = (
        "import sys, time; from napari_medssl.backend import embed_parts as p, tile_pictures\n"
        "p._MOST_PICTURES, read = 2, tile_pictures.read_tile\n"
        # Slow enough that the kill comes before the end.
        "tile_pictures.read_tile = lambda *args: time.sleep(0.2) or read(*args)\n"
        "from napari_medssl.cli import main; sys.exit(main())"
    )
    words = ["embed", str(folder), "--encoder", "histogram", "--batch", "2", "--out"]
    process = subprocess.Popen([sys.executable, "-c", code, *words, str(out)])
    while not list(tmp_path.glob("*.parts/0*.parquet")) and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not out.exists()
    assert main([*words, str(out)]) == 0
    said = capsys.readouterr().err
    resumed = int(re.search(r"(\d+) pictures of an earlier run", said).group(1))
    assert 2 <= resumed < 43
    assert main([*words, str(whole)]) == 0
    (one, other), (due, values) = read_embeddings(out)[:2], read_embeddings(whole)[:2]
    assert one == due
    assert (other == values).all()
    assert not list(tmp_path.glob("*.parts"))


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
