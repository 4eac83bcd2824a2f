"""A window with the widget "Find similar", two indexed slides of colours, and one that is not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import napari
import numpy as np
import tifffile
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from separation_world import NO_KEYS, World, wait_until

from napari_medssl.backend.index_config import IndexConfig
from napari_medssl.backend.index_slides import index_slides
from napari_medssl.io.slides.halving import halve
from napari_medssl.widgets.similar import SimilarWidget
from napari_medssl.widgets.similar.hit_delegate import sign_chips

MPP = 0.5
TILE = 128
GRID = (8, 10)  # rows and columns of tiles
COLORS = np.array([(200, 60, 150), (120, 60, 180), (60, 130, 90), (220, 150, 60)])
CONFIG = IndexConfig(encoder="histogram", mpp=MPP, size=TILE, min_tissue=0.0, device="cpu")


def kinds(seed: int) -> np.ndarray:
    """Which of the four colours each tile has, shape GRID: a quarter of the slide each."""
    rows, columns = np.indices(GRID)
    quarter = 2 * (rows >= GRID[0] // 2) + (columns >= GRID[1] // 2)
    return (quarter + seed) % 4


def write_slide(path: Path, seed: int = 0, mpp: float | None = MPP) -> Path:
    """A tiled pyramid whose quarters have colours of their own, each tile a little different."""
    rng = np.random.default_rng(seed)
    color = COLORS[kinds(seed)] + rng.integers(-12, 13, (*GRID, 3))
    pixels = np.repeat(np.repeat(color, TILE, 0), TILE, 1).astype(float)
    pixels = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
    return write_pyramid(path, pixels, mpp)


def write_pyramid(path: Path, pixels: np.ndarray, mpp: float | None = MPP) -> Path:
    """A tiled pyramid of two levels of pixels, uint8 RGB (Y, X, 3)."""
    height, width = pixels.shape[:2]
    text = f"Aperio Image Library v11.2.1\n{width}x{height} |AppMag = 20"
    text += f"|MPP = {mpp}" * (mpp is not None)
    with tifffile.TiffWriter(path) as writer:
        for level in range(2):
            writer.write(
                pixels,
                tile=(256, 256),
                subfiletype=1 if level else 0,
                description=text,
                metadata=None,
                compression="jpeg",
                photometric="rgb",
            )
            pixels = halve(pixels)
    return path


class SimilarWorld(World):
    """A shown viewer with the widget docked, and a library that all tests of a module read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slides = [write_slide(folder / f"slide{n}.svs", n) for n in range(3)]
        self.library = folder / "tiles.library"
        table = folder / "patients.csv"
        table.write_text("slide,patient\nslide0.svs,A\nslide1.svs,B\n")
        config = IndexConfig(
            encoder="histogram", mpp=MPP, size=TILE, min_tissue=0.0, patients=table, device="cpu"
        )
        index_slides([str(path) for path in self.slides[:2]], self.library, config)
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1280, 800)
        self.widget: Any = None

    def begin(self, folder: Path, *, is_open: bool = True) -> None:
        """Give a test a fresh widget and an empty viewer."""
        self.end()
        shutil.rmtree(self.library / "searches", ignore_errors=True)
        self.widget = SimilarWidget(self.viewer, folder / "recent.json")
        self.viewer.window.add_dock_widget(self.widget, name="Find similar", area="right")
        self.session = self.widget.session
        if is_open:
            self.widget.choice.open(self.library)
            wait_until(lambda: self.session.collection is not None)
        self.settle()

    def end(self) -> None:
        """Take the widget and the layers away."""
        if self.widget is not None:
            self.widget.shut_down()
            wait_until(lambda: self.widget.notes._holder.notes is None)
            self.viewer.window.remove_dock_widget(self.widget)
            self.widget.close()
            self.widget.deleteLater()
        self.widget = self.session = None
        self.viewer.layers.clear()
        self.settle()

    def show(self, number: int = 0) -> Any:
        """Open a slide as napari does."""
        (layer,) = self.viewer.open(str(self.slides[number]), plugin="napari-medssl")
        self.viewer.reset_view()
        self.settle(0.2)
        return layer

    def point(self, x: float, y: float) -> QPoint:
        """Where a location of the slide in front is on the canvas."""
        camera, canvas = self.viewer.scene.camera, self.canvas
        _, cy, cx = camera.center
        wy, wx = self.widget.places.front.layer.data_to_world((y - 0.5, x - 0.5))
        return QPoint(
            round((wx - cx) * camera.zoom + canvas.width() / 2),
            round((wy - cy) * camera.zoom + canvas.height() / 2),
        )

    def middle(self) -> tuple[float, float]:
        """The location in the middle of the canvas."""
        _, y, x = self.viewer.scene.camera.center
        place = self.widget.places.front.layer.world_to_data((y, x))
        return float(place[1]) + 0.5, float(place[0]) + 0.5

    def click_slide(self, x: float, y: float, keys: Any = NO_KEYS) -> None:
        """Click a location of the slide in front."""
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, keys, self.point(x, y))
        self.settle()

    def drag_slide(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one location to another."""
        points = [self.point(*start), self.point(*end)]
        points.insert(1, (points[0] + points[1]) / 2)
        self._mouse(QEvent.Type.MouseButtonPress, points[0])
        for point in points[1:]:
            self._mouse(QEvent.Type.MouseMove, point)
            self.settle()
        self._mouse(QEvent.Type.MouseButtonRelease, points[-1])
        self.settle()

    def _mouse(self, kind: QEvent.Type, place: QPoint) -> None:
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        button = none if kind == QEvent.Type.MouseMove else left
        held = none if kind == QEvent.Type.MouseButtonRelease else left
        point = QPointF(place)
        whole = QPointF(self.canvas.mapToGlobal(place))
        QApplication.sendEvent(self.canvas, QMouseEvent(kind, point, whole, button, held, NO_KEYS))

    def pick(self, x: float, y: float, keys: Any = NO_KEYS) -> None:
        """Pick the tile at a location and wait for the hits."""
        former = self.session.answer
        self.widget.pick.set_mode("tile")
        self.click_slide(x, y, keys)
        self.wait_answer(former)

    def wait_answer(self, former: Any) -> None:
        """Wait for the answer to another question than the former answer's, or for an error.

        An answer alone says nothing: it is replaced when it is known what the stain does for its
        hits, and there is none while a library is opened again.
        """
        question = None if former is None else former.question

        def is_there() -> bool:
            answer = self.session.answer
            return answer is not None and answer.question is not question

        wait_until(lambda: is_there() or self.widget.error.text())
        wait_until(lambda: not self.widget.searching.is_busy)
        self.settle()

    def cell(self, row: int) -> Any:
        view = self.widget.gallery.view
        return view.visualRect(view.model().index(row, 0))

    def click_hit(self, row: int) -> None:
        """Click the picture of a hit."""
        view = self.widget.gallery.view
        place = self.cell(row).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, NO_KEYS, place)
        wait_until(lambda: not self.widget.fly.is_opening)
        self.settle()

    def click_sign(self, row: int, is_wanted: bool) -> None:
        """Click the + or − of a hit."""
        former = self.session.answer
        view = self.widget.gallery.view
        place = sign_chips(self.cell(row))[0 if is_wanted else 1].center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, NO_KEYS, place)
        self.wait_answer(former)

    def kind_of(self, tile: Any) -> int:
        """Which colour a tile has."""
        number = {r.fingerprint: Path(r.path).stem[-1] for r in self.session.records.values()}
        return int(kinds(int(number[tile.slide]))[tile.y // TILE, tile.x // TILE])
