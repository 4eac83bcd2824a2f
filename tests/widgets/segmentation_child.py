"""A program for `test_segmentation_kill`: it paints with the mouse until somebody kills it.

    python segmentation_child.py FOLDER

It prints a line after every stroke.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qtpy.QtWidgets import QApplication
from segmentation_world import SegmentationWorld


def main(folder: Path) -> None:
    app = QApplication.instance() or QApplication([])
    world = SegmentationWorld(folder)
    world.begin(folder, count=1)
    print("folder", world.session.folder.folder, flush=True)
    world.segment()
    world.mask_layer.mode = "paint"
    for number in range(1, 8):
        y = 50 + 9 * number
        world.paint((40, y), (100, y))
        print("stroke", y, flush=True)
    app.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
