"""A program for `test_separation_kill`: it edits boxes by key until somebody kills it.

    python separation_child.py FOLDER

It prints a line with the time after every edit.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from separation_world import World

from napari_medssl.io.boxes import Box
from napari_medssl.widgets._settings import Settings


def main(folder: Path) -> None:
    app = QApplication.instance() or QApplication([])
    world = World(folder)
    world.begin(folder / "figures")
    world.session.set_autosave(Settings().autosave_s)
    (key,) = world.store.add(Box(10, 10, 60, 60))
    world.settle(0.3)
    world.session.selection.replace([key])
    print("folder", world.session.project.folder, flush=True)
    for number in range(1, 300):
        world.press(Qt.Key.Key_Right)
        print("edit", number, time.time(), flush=True)
        time.sleep(0.02)
    app.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
