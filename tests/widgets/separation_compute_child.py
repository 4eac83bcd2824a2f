"""A program for `test_separation_compute`: separate real figures by the shipped detector.

    python separation_compute_child.py FOLDER

It prints JSON: what was found, whether torch came into the process of the window, and what
happened when the compute process was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from separation_world import World, wait_until

from napari_medssl.backend.compute_process import compute_process


def main(folder: Path) -> None:
    app = QApplication.instance() or QApplication([])
    world = World(folder, None)
    world.begin(folder / "figures", 2)
    told = {}
    world.press(Qt.Key.Key_D)
    wait_until(lambda: len(world.store), 120)
    told["boxes"] = world.stored()
    told["pid"] = compute_process().pid
    os.kill(told["pid"], signal.SIGKILL)
    wait_until(lambda: compute_process().pid is None)
    world.widget.separate_all()
    wait_until(lambda: not world.widget.jobs.is_busy, 120)
    project = world.session.project
    told["all"] = [len(project.boxes(key)) for key in project]
    told["second pid"] = compute_process().pid
    told["error"] = world.widget.error.text()
    told["torch"] = "torch" in sys.modules
    world.widget.shut_down()
    print(json.dumps(told), flush=True)
    app.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
