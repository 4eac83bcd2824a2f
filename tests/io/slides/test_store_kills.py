"""Killed with SIGKILL at ten random moments, the same call ends with the same bytes."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_medssl.io.slide_store import verify_store, write_store
from napari_medssl.io.slides.level_slide import About, Level, LevelSlide

CHILD = """
import sys
from pathlib import Path
from test_store_kills import MadeSlide
from napari_medssl.io.slide_store import write_store

def tell(step):
    print(step.what, step.done, flush=True)

write_store(MadeSlide(), Path(sys.argv[1]), on_step=tell)
print("finished", flush=True)
"""


class MadeSlide(LevelSlide):
    """7 x 4 shards, 39 over all levels, of squares of random colour that are drawn when read."""

    def __init__(self):
        super().__init__(About("made", mpp=(0.5, 0.5)), [Level(12500, 8100, 1.0)])
        self._squares = np.random.default_rng(0).integers(
            0, 250, (8100 // 64 + 1, 196, 3), np.uint8
        )

    def _read_inside(self, level, x, y, width, height):
        rows, columns = np.arange(y, y + height) // 64, np.arange(x, x + width) // 64
        return self._squares[rows][:, columns]

    def _make_fingerprint(self):
        return "0" * 32


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run_until(out, lines, delay_s):
    """Run the conversion, kill it `delay_s` after so many lines; return whether it finished."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(out)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=__file__.rpartition("/")[0],
    ) as child:
        converted = 0
        for line in child.stdout:
            if line.startswith("finished"):
                break
            converted += line.startswith("converting")
            if converted > lines:
                time.sleep(delay_s)
                child.send_signal(signal.SIGKILL)
                break
        child.stdout.read()
    return child.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_ten_kills_cost_nothing_but_time(tmp_path):
    out = tmp_path / "made.ome.zarr"
    moments = random.Random(20)
    kills = 0
    for _ in range(10):
        is_finished = run_until(out, moments.randint(0, 3), moments.uniform(0, 0.05))
        kills += not is_finished
        assert out.exists() == is_finished
    assert kills == 10
    while not run_until(out, 1000, 0):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["made.ome.zarr"]
    assert verify_store(out).is_whole
    write_store(MadeSlide(), tmp_path / "unbroken.ome.zarr")
    assert tree(out) == tree(tmp_path / "unbroken.ome.zarr")
