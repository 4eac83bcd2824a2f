"""The whole window is killed while somebody draws regions: less than 2 s of work are lost."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_medssl.state.region_folder import RegionFolder
from napari_medssl.state.slide_library import SlideLibrary

pytestmark = [pytest.mark.gui, pytest.mark.slow]
CHILD = Path(__file__).with_name("slides_child.py")
MOST_LOST_S = 2.0


def test_kill_9_of_the_window_loses_less_than_2_s(tmp_path):
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    edits: list[float] = []
    for line in child.stdout:
        word, _, rest = line.strip().partition(" ")
        if word == "folder":
            folder = Path(rest)
        if word == "edit":
            edits.append(float(rest.split()[1]))
        if len(edits) > 6 and edits[-1] - edits[0] > 4:
            break
    child.kill()
    killed = time.time()
    child.wait()
    assert edits, "the child drew nothing"
    due = sum(at < killed - MOST_LOST_S for at in edits)
    assert due > 1
    with RegionFolder.open(folder) as opened:
        drawn = len(opened.store.region_keys())
        assert due <= drawn <= len(edits) + 1
        opened.store.undo()
        assert len(opened.store.region_keys()) == drawn - 1
    with SlideLibrary.open(folder.parent.parent) as library:
        (entry,) = library.store.as_dict().values()
        assert entry.width == 2000
