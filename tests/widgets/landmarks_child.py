"""A program for `test_landmarks_kill`: it places landmarks with the mouse until somebody kills it.

    python landmarks_child.py FOLDER

It prints a line after every point that was placed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from landmarks_world import LandmarksWorld
from qtpy.QtWidgets import QApplication


def main(folder: Path) -> None:
    app = QApplication.instance() or QApplication([])
    world = LandmarksWorld(folder)
    world.begin(folder, count=2, names=())
    print("folder", world.session.folder.folder, flush=True)
    image = world.store.images()[0]
    for number in range(1, 60):
        world.place(image, 10 + 14 * (number % 10), 10 + 16 * (number // 10))
        assert len(world.store.names()) == number
        assert world.session.folder.flush()
        print("edit", number, flush=True)
    app.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
