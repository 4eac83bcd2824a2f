"""The whole window is killed amid edits: every edit that was on disk is there again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from map_world import COUNT, group_of, make_source

from napari_medssl.state.group_folder import GroupFolder

pytestmark = [pytest.mark.gui, pytest.mark.slow]
CHILD = Path(__file__).with_name("embedding_map_child.py")


def edits_of_a_killed_window(place: Path) -> tuple[list[str], Path]:
    """Return the lines of a child that was killed while it went on editing, and its folder."""
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(place)],
        stdout=subprocess.PIPE,
        text=True,
        # What the world is made of lies in other folders of tests, which pytest alone knows.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert child.stdout is not None
    lines, folder = [], place
    for line in child.stdout:
        word, _, rest = line.strip().partition(" ")
        if word == "folder":
            folder = Path(rest)
        elif word in ("edit", "undone"):
            lines.append(word)
        if word == "undone":
            break
    journal = folder / "journal.jsonl"
    size = journal.stat().st_size
    end = time.monotonic() + 60
    while journal.stat().st_size <= size and time.monotonic() < end:
        pass  # until it is amid the next edits
    child.kill()
    child.wait()
    return lines, folder


def test_kill_9_of_the_window_keeps_every_edit_of_clusters(tmp_path):
    lines, folder = edits_of_a_killed_window(tmp_path)
    assert lines == ["edit", "edit", "undone"], "the child edited nothing"
    source = make_source(tmp_path / "pictures")
    first = [row for row in range(COUNT) if group_of(row) == 0]
    with GroupFolder.open(folder, source.names, source.content) as opened:
        groups = opened.groups
        names = [edit.name for edit in groups.history.edits]
        assert names[0] == "make kind 0"  # k-means before it is no step of the person
        assert groups.id_of("kind 0") is not None
        assert groups.id_of("kind 1") is None  # it was taken back
        assert len(names) > 1, "it was not killed amid edits"
        while groups.history.position > 1:
            groups.undo()
        assert groups.rows_of(groups.id_of("kind 0")).tolist() == first
        assert sorted(groups.counts().values()) == [0, 0, 20, 20, 20]
