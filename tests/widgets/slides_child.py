"""A program for `test_slides_kill`: it draws regions with the mouse until somebody kills it.

    python slides_child.py FOLDER

It prints a line with the time after every region.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from qtpy.QtWidgets import QApplication
from slides_world import SlidesWorld, wait_until


def main(folder: Path) -> None:
    app = QApplication.instance() or QApplication([])
    world = SlidesWorld(folder)
    world.begin(folder / "slides", count=1)
    world.show(0)
    panel = world.widget.regions
    wait_until(lambda: panel.session.store is not None)
    panel.layer.set_mode("add_rectangle")
    world.settle(0.3)
    print("folder", panel.session.folder.folder, flush=True)
    for number in range(1, 200):
        x, y = 300 + 40 * (number % 30), 300 + 200 * (number // 30 % 4)
        world.drag((x, y), (x + 35, y + 150))
        assert len(panel.session.store.region_keys()) == number
        print("edit", number, time.time(), flush=True)
    app.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
