"""The whole window is killed while somebody places landmarks: what was on disk is there again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_medssl.state.landmark_folder import LandmarkFolder

pytestmark = [pytest.mark.gui, pytest.mark.slow]
CHILD = Path(__file__).with_name("landmarks_child.py")


def test_kill_9_of_the_window_keeps_every_landmark_that_was_written(tmp_path):
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    placed = 0
    for line in child.stdout:
        word, _, rest = line.strip().partition(" ")
        if word == "folder":
            folder = Path(rest)
        if word == "edit":
            placed = int(rest)
        if placed == 4:
            break
    child.kill()
    child.wait()
    assert placed == 4, "the child placed nothing"
    with LandmarkFolder.open(folder) as opened:
        store = opened.store
        one, other = store.images()
        names = store.names()
        assert len(names) in (4, 5)  # it may have been placing the next one
        for name in names[:4]:
            assert store.point(one, name).state == "confirmed"
            assert store.point(one, name).is_template
            assert store.point(other, name).state == "found"
        store.undo()
        assert sum(store.point(one, name).state == "confirmed" for name in names) >= 3
