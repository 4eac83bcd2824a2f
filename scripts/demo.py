"""Open napari with the plugin on a sample figure, separate it, and take screenshots.

    python scripts/demo.py --out demo-output

Needs a display; `make demo` and `make docs-images` give it a virtual one where there is none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication

PLUGIN = "napari-medssl"
WIDGET = "Figure separation"
SAMPLES = ("lettered_figure", "touching_figure")
WINDOW = (1280, 800)


def wait_until(is_true: Callable[[], bool], within_s: float, what: str) -> None:
    """Keep the window alive until `is_true()`; leave with an error line when time runs out."""
    end = time.monotonic() + within_s
    while not is_true():
        if time.monotonic() > end:
            sys.exit(f"error: {what} took more than {within_s:.0f} s.")
        QApplication.processEvents()
        time.sleep(0.01)


def settle(seconds: float = 1.0) -> None:
    """Let the window draw itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def take(viewer: Any, path: Path) -> None:
    """Write a screenshot of the whole window."""
    settle()
    viewer.screenshot(path, canvas_only=False, flash=False)
    print(f"wrote {path}")


def show_samples(viewer: Any, out: Path) -> None:
    """Take a screenshot of every sample figure."""
    for name in SAMPLES:
        viewer.layers.clear()
        viewer.open_sample(PLUGIN, name)
        viewer.reset_view()
        take(viewer, out / f"{name}.png")


def main() -> int:
    """Take the screenshots; return the exit code."""
    parser = argparse.ArgumentParser(description="Take screenshots of the plugin at work.")
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder to write to")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    show_samples(viewer, out)
    viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
