"""The whole window is killed while somebody works in it: less than 2 s of work are lost."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_medssl.io.boxes import Box
from napari_medssl.state.drafts import left_drafts
from napari_medssl.state.project import Project

pytestmark = [pytest.mark.gui, pytest.mark.slow]
CHILD = Path(__file__).with_name("separation_child.py")
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
        if len(edits) > 15 and edits[-1] - edits[0] > 4:
            break
    child.kill()
    killed = time.time()
    child.wait()
    assert edits, "the child made no edit"
    due = sum(at < killed - MOST_LOST_S for at in edits)
    assert due > 5
    assert folder in left_drafts(tmp_path / "drafts")  # offered at the next start
    with Project.open(folder) as project:
        store = project.store(project.keys()[0])
        moved = round(store[1].x0) - 10
        assert due <= moved
        assert store.undo() is not None
        assert store.boxes()[0].x0 == 10 + moved - 1
        while store.undo():
            pass
        assert store.boxes() == ()
        store.redo()
        assert store.boxes() == (Box(10, 10, 60, 60),)
