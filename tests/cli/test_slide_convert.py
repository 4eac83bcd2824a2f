"""`medssl slide convert` and `verify`: what they say, and the codes they end with."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import zarr
from PIL import Image

from napari_medssl.backend.convert_slide import ConvertConfig, convert_slide, verify_slide_store
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.cli import main
from napari_medssl.io.slides import open_slide

CHILD = "import sys; from napari_medssl.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def picture(tmp_path):
    """A picture without mpp, two shards wide."""
    random = np.random.default_rng(0)
    small = random.integers(0, 250, (600 // 8, 2400 // 8, 3), np.uint8)
    path = tmp_path / "scan.png"
    Image.fromarray(np.repeat(np.repeat(small, 8, 0), 8, 1)).save(path)
    return path


@pytest.fixture
def tiff(tmp_path):
    """A tiled TIFF of 0.5 microns per pixel: tissue in the left upper corner, glass elsewhere."""
    import tifffile

    random = np.random.default_rng(0)
    pixels = np.full((2600, 4300, 3), 243, np.uint8) + random.integers(0, 3, (2600, 4300, 1), "u1")
    tissue = random.normal((190, 110, 170), 25, (1500 // 4, 1500 // 4, 3)).clip(0, 250)
    pixels[200:1700, 300:1800] = np.repeat(np.repeat(tissue.astype(np.uint8), 4, 0), 4, 1)
    path = tmp_path / "biopsy.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(
            pixels,
            tile=(256, 256),
            photometric="rgb",
            compression="jpeg",
            resolution=(20_000, 20_000),
            resolutionunit="CENTIMETER",
            metadata=None,
        )
    return path


def test_convert_writes_says_so_and_knows_it_the_second_time(picture, tmp_path, capsys):
    out = str(tmp_path / "scan.ome.zarr")
    assert main(["slide", "convert", str(picture), "--out", out]) == 0
    told = capsys.readouterr()
    assert re.fullmatch(rf"{re.escape(out)}: 5 shards, \d+ MB/s\.\n", told.out)
    assert told.err == (
        "warning: 'scan.png' does not say how large its pixels are: the store counts in pixels "
        "and has no microns.\n"
    )
    assert main(["slide", "convert", str(picture), "--out", out]) == 0
    assert "is finished already: the same slide" in capsys.readouterr().out
    assert main(["slide", "convert", str(picture), "--out", out, "--chunk", "256"]) == 1
    assert "error: " in (told := capsys.readouterr().err)
    assert "other settings (chunk was 512, now 256); it was not touched" in told
    assert told.count("\n") == 1
    with open_slide(picture) as slide, open_slide(out) as store:
        assert (slide.read_pixels(0, (2000, 0), (400, 600))
                == store.read_pixels(0, (2000, 0), (400, 600))).all()  # fmt: skip


def test_verify_tells_every_file_that_is_wrong(picture, tmp_path, capsys):
    out = tmp_path / "scan.ome.zarr"
    assert main(["slide", "convert", str(picture), "--out", str(out)]) == 0
    assert main(["slide", "verify", str(out)]) == 0
    assert "all 10 files are as they were written" in capsys.readouterr().out
    (out / "0" / "c" / "0" / "0" / "1").unlink()
    (out / "1" / "c" / "0" / "0" / "0").write_bytes(b"")
    assert main(["slide", "verify", str(out)]) == 1
    assert capsys.readouterr().err == (
        "error: scan.ome.zarr/0/c/0/0/1 is missing.\n"
        "error: scan.ome.zarr/1/c/0/0/0 is not as it was written.\n"
    )
    assert main(["slide", "verify", str(tmp_path)]) == 2
    assert "it has no manifest.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--out", "x.tif"], "due is a name that ends with '.ome.zarr'"),
        (["--out", "x.ome.zarr", "--mpp", "0.5"], "does not say how large its pixels are"),
        (["--out", "x.ome.zarr", "--mpp", "-1"], "out of range"),
        (["--out", "x.ome.zarr", "--chunk", "300"], "due is 256 or 512"),
        (["--out", "x.ome.zarr", "--codec", "png"], "png"),
        (["--out", "scan.png"], "is an input, which stays as it is"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(
    picture, tmp_path, capsys, monkeypatch, options, text
):
    monkeypatch.chdir(tmp_path)
    assert main(["slide", "convert", str(picture), *options]) == 2
    assert text in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scan.png"]


def test_tissue_only_leaves_glass_out(tiff, tmp_path, capsys):
    out = tmp_path / "biopsy.ome.zarr"
    command = ["slide", "convert", str(tiff), "--out", str(out), "--tissue-only"]
    assert main(command) == 0
    assert "5 without tissue left out at 0.5 microns per pixel" in capsys.readouterr().out
    assert json.loads((out / "manifest.json").read_bytes())["left_out"]["shards"] == 5
    assert (zarr.open_array(out / "0", mode="r")[:, :, 2048:] == 255).all()


def test_mpp_makes_a_smaller_store(tiff, tmp_path, capsys):
    out = tmp_path / "biopsy.ome.zarr"
    assert main(["slide", "convert", str(tiff), "--out", str(out), "--mpp", "1.25"]) == 0
    with open_slide(out) as slide:
        assert slide.dimensions == (1720, 1040)
        assert slide.mpp == pytest.approx((1.25, 1.25))


def test_progress_counts_shards_and_says_the_speed(picture, tmp_path):
    reports = []
    convert_slide(str(picture), tmp_path / "a.ome.zarr", on_progress=reports.append)
    converting = [r for r in reports if r.total == 5]
    assert [r.done for r in converting] == list(range(6))
    assert re.fullmatch(r"\d+ MB/s", converting[-1].message)
    verified = []
    verify_slide_store(tmp_path / "a.ome.zarr", on_progress=verified.append)
    assert [r.done for r in verified] == list(range(1, 11))


def test_cancelled_and_given_again_it_goes_on(picture, tmp_path):
    seen = []
    out = tmp_path / "a.ome.zarr"
    config = ConvertConfig(threads=1)
    with pytest.raises(Cancelled):
        convert_slide(
            str(picture), out, config,
            on_progress=seen.append, should_stop=lambda: any(r.done for r in seen),
        )  # fmt: skip
    assert not out.exists()
    assert convert_slide(str(picture), out, config).store.resumed == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child is POSIX's")
def test_ctrl_c_stops_in_order_and_a_second_command_is_told_who_is_at_it(tmp_path, capsys):
    """While a conversion is held, another one to the same place is refused; then it is stopped."""
    path = tmp_path / "large.png"
    small = np.random.default_rng(0).integers(0, 250, (260, 520, 3), np.uint8)
    Image.fromarray(np.repeat(np.repeat(small, 16, 0), 16, 1)).save(path, compress_level=1)
    out = tmp_path / "large.ome.zarr"
    command = ["slide", "convert", str(path), "--out", str(out), "--threads", "1"]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *command],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    shards = out.with_name("large.ome.zarr.partial") / "0" / "c"
    end = time.monotonic() + 120
    while not [p for p in shards.rglob("[0-9]") if p.is_file()] and time.monotonic() < end:
        time.sleep(0.01)
    child.send_signal(signal.SIGSTOP)  # holding its lock, however long this process takes
    code = main(command)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGCONT)
    _, error = child.communicate(timeout=120)
    assert code == 2
    assert f"by another program (process {child.pid} on " in capsys.readouterr().err
    assert child.returncode == 1, error
    assert re.search(r"error: Stopped after \d+ of \d+ shards\. Give the same command", error)
    assert not out.exists()
    assert main(command) == 0
    assert "shards were written by an earlier run" in capsys.readouterr().err
