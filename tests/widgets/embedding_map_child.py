"""A program for `test_embedding_map_kill`: it edits clusters until somebody kills it.

    python embedding_map_child.py FOLDER

It prints a line after every edit that is on disk, and goes on with others that may not be.
"""

from __future__ import annotations

import sys
from pathlib import Path

from map_world import COUNT, MapWorld, group_of, wait_until
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


def main(folder: Path) -> None:
    app = QApplication.instance() or QApplication([])
    world = MapWorld(folder)
    world.begin(folder)
    widget, keeper = world.widget, world.widget.keeper
    print("folder", keeper.folder.folder, flush=True)
    for group in range(2):
        world.draw_around(group)
        widget.groups.name.setCurrentText(f"kind {group}")
        QTest.mouseClick(widget.groups.assign_button, Qt.MouseButton.LeftButton)
        wait_until(lambda: keeper.folder.is_saved)
        print("edit", group, flush=True)
    QTest.keyClick(world.map, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    wait_until(lambda: keeper.folder.is_saved)
    print("undone", flush=True)
    for row in range(10_000):  # these are cut off somewhere
        kind = f"other {row % 7}"
        world.session.clusters.assign([row % COUNT], kind if group_of(row) == 2 else 0)
        app.processEvents()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
