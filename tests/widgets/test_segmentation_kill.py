"""The whole window is killed while somebody paints: every stroke made so far is there again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from segmentation_world import truth

from napari_medssl.io.class_files import read_class_file
from napari_medssl.state.mask_folder import MaskFolder

pytestmark = [pytest.mark.gui, pytest.mark.slow]
CHILD = Path(__file__).with_name("segmentation_child.py")


def test_kill_9_of_the_window_keeps_every_stroke(tmp_path):
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        # What the world is made of lies in other folders of tests, which pytest alone knows.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert child.stdout is not None
    strokes = []
    for line in child.stdout:
        word, _, rest = line.strip().partition(" ")
        if word == "folder":
            folder = Path(rest)
        if word == "stroke":
            strokes.append(int(rest))
        if len(strokes) == 3:
            break
    child.kill()
    child.wait()
    assert len(strokes) == 3, "the child painted nothing"
    with MaskFolder.open(folder) as opened:
        (key,) = opened.store
        mask = read_class_file(opened.mask_file(key))
        assert opened.store[key].is_edited
        assert (mask[truth(0) == 1] == 1).all()
        for y in strokes:
            assert (mask[y, 45:95] == 1).all()
