"""A shown viewer that benchmarks work in: Qt runs on while a step is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_gui_stalls import Watch

_POLL_S = 0.002


class ShownWindow:
    """A viewer of 1280 x 800; `rows` are lines of a table, `watch` notes when Qt stood still."""

    def __init__(self, folder: Path) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        self.app = QApplication.instance() or QApplication([])
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1280, 800)
        self.folder = folder
        self.rows: list[str] = []
        self.settle(0.5)
        self.watch = Watch()

    def settle(self, seconds: float) -> None:
        """Let Qt work in its own loop for some time."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(max(1, round(seconds * 1000)), loop.quit)
        loop.exec()

    def until(self, holds: Callable[[], Any], timeout_s: float = 600) -> None:
        """Let Qt work until something is so."""
        end = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError("a step took more than 10 minutes")
            self.settle(_POLL_S)
