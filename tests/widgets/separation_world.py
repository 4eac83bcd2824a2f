"""A window with the separation widget, figures on disk, and a mouse and keyboard for tests."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import napari
import numpy as np
from napari.qt import QtViewer
from PIL import Image
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medssl.io.boxes import Box
from napari_medssl.widgets.separation import SeparationWidget

NO_KEYS = Qt.KeyboardModifier.NoModifier


class FixedSeparator:
    """Finds the four quarters of any figure, with known scores, and a weak box in the middle."""

    default_score = 0.4

    def separate(self, image: np.ndarray, *, score: float | None = None) -> list[Box]:
        height, width = image.shape[:2]
        w, h = width // 2 - 10, height // 2 - 10
        boxes = [
            Box(x, y, x + w, y + h, p)
            for (x, y), p in zip(
                (
                    (0, 0),
                    (width // 2 + 10, 0),
                    (0, height // 2 + 10),
                    (width // 2 + 10, height // 2 + 10),
                ),
                (0.95, 0.9, 0.7, 0.5),
                strict=True,
            )
        ]
        if score is not None and score < 0.4:
            boxes.append(Box(width / 2 - 8, height / 2 - 8, width / 2 + 8, height / 2 + 8, 0.2))
        return [
            box for box in boxes if box.score >= (self.default_score if score is None else score)
        ]


def four_panels(width: int = 400, height: int = 300) -> np.ndarray:
    """A white figure with four grey panels, a margin of 6 px and gutters of 20 px."""
    image = np.full((height, width, 3), 255, np.uint8)
    for x in (slice(6, width // 2 - 10), slice(width // 2 + 10, width - 6)):
        for y in (slice(6, height // 2 - 10), slice(height // 2 + 10, height - 6)):
            image[y, x] = 90
    return image


def write_figures(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"fig{number:02}.png" for number in range(1, count + 1)]
    for path in paths:
        Image.fromarray(four_panels()).save(path)
    return paths


def wait_until(holds: Callable[[], Any], timeout_s: float = 120.0) -> None:
    """Let Qt work until a condition holds."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "condition did not come true in time"
        QApplication.processEvents()
        time.sleep(0.005)


class World:
    """A shown viewer with the widget docked; `begin` gives every test a fresh project."""

    _canvas: Any = None

    def __init__(self, folder: Path, factory: Any = FixedSeparator) -> None:
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1280, 800)
        self.folder = folder
        self.widget = SeparationWidget(self.viewer, factory, folder / "drafts")
        self.viewer.window.add_dock_widget(self.widget, name="Figure separation", area="right")
        self.session = self.widget.session
        self.settle()

    def begin(self, folder: Path, count: int = 3) -> None:
        """Open a new project with figures."""
        former = self.session.project
        self.session.use(self.widget.files.make_draft())
        former.close()
        self.session.is_snapping = True
        self.open(*write_figures(folder, count))
        self.layer.mode = "select"

    def end(self) -> None:
        """Stop the widget and take the layers away."""
        if self.widget is not None:
            self.widget.shut_down()
        self.viewer.layers.clear()

    def close(self) -> None:
        """Close the window and wait until it is gone: the next test may look for those left."""
        self.end()
        views = [ref(one) for one in QApplication.allWidgets() if isinstance(one, QtViewer)]
        self.viewer.close()
        self.viewer = self.widget = self.session = self._canvas = None
        gc.unfreeze()  # see `conftest.shown`: the window was left out of collections
        for _ in range(3):
            self.settle(0.2)
            gc.collect()  # half a second and more
            if all(view() is None for view in views):
                break

    def settle(self, seconds: float = 0.05) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.002)

    def open(self, *paths: Path) -> None:
        self.widget.files.add_paths(paths)
        wait_until(lambda: self.session.current is not None)
        self.settle(0.3)

    @property
    def layer(self) -> Any:
        return self.viewer.layers["panels"]

    @property
    def store(self) -> Any:
        return self.session.store

    def drawn(self) -> list[tuple[float, ...]]:
        """What the layer shows, as sorted boxes."""
        boxes = []
        for shape in self.layer.data:
            (y0, x0), (y1, x1) = np.asarray(shape).min(axis=0), np.asarray(shape).max(axis=0)
            boxes.append((x0 + 0.5, y0 + 0.5, x1 + 0.5, y1 + 0.5))
        return sorted(boxes)

    def stored(self) -> list[tuple[float, ...]]:
        keys = self.session.shown_keys()
        return sorted((b.x0, b.y0, b.x1, b.y1) for b in (self.store[k] for k in keys))

    def assert_in_step(self) -> None:
        """The layer shows exactly what the store holds, with the same selection."""
        self.settle()
        assert self.drawn() == self.stored()

    # -- mouse and keys --------------------------------------------------------------------------

    @property
    def canvas(self) -> Any:
        if self._canvas is not None and self._canvas.isVisible():
            return self._canvas
        for widget in QApplication.allWidgets():
            if type(widget).__name__ == "CanvasBackendDesktop" and widget.isVisible():
                self._canvas = widget
                return widget
        raise AssertionError("no canvas")

    def point(self, x: float, y: float) -> QPoint:
        """Where a place of the image, in pixels, is on the canvas."""
        camera, canvas = self.viewer.scene.camera, self.canvas
        _, cy, cx = camera.center
        return QPoint(
            round((x - 0.5 - cx) * camera.zoom + canvas.width() / 2),
            round((y - 0.5 - cy) * camera.zoom + canvas.height() / 2),
        )

    def hover(self, x: float, y: float) -> None:
        QTest.mouseMove(self.canvas, self.point(x, y) + QPoint(1, 1))
        QTest.mouseMove(self.canvas, self.point(x, y))
        self.settle()

    def click(self, x: float, y: float, keys: Any = NO_KEYS) -> None:
        self.hover(x, y)
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, keys, self.point(x, y))
        self.settle()

    def drag(
        self, start: tuple[float, float], stop: tuple[float, float], keys: Any = NO_KEYS
    ) -> None:
        self.hover(*start)
        left = Qt.MouseButton.LeftButton
        QTest.mousePress(self.canvas, left, keys, self.point(*start))
        for part in (0.2, 0.5, 0.8, 1.0, 1.0):
            x = start[0] + part * (stop[0] - start[0])
            y = start[1] + part * (stop[1] - start[1])
            self.move_pressed(self.point(x, y), keys)
            self.settle(0.02)
        QTest.mouseRelease(self.canvas, left, keys, self.point(*stop))
        self.settle()

    def move_pressed(self, at: QPoint, keys: Any) -> None:
        """QTest moves with no button down; a drag needs one."""
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(at),
            QPointF(self.canvas.mapToGlobal(at)),
            Qt.MouseButton.LeftButton,
            Qt.MouseButton.LeftButton,
            keys,
        )
        QApplication.sendEvent(self.canvas, event)

    def press(self, key: Any, keys: Any = NO_KEYS) -> None:
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key, keys)
        self.settle()
