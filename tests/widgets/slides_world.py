"""A window with the widget "Slides", slides on disk, and a mouse and keyboard for tests."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import napari
import numpy as np
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from separation_world import NO_KEYS as NO_KEYS
from separation_world import World, wait_until

from napari_medssl.io.slides.halving import halve
from napari_medssl.state.slide_library import SlideLibrary
from napari_medssl.widgets.slides import SlidesWidget

MPP = 0.5


def tissue(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Pink blobs on white glass."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = np.full((height, width, 3), 245.0)
    for _ in range(5):
        cy, cx = rng.uniform(0.2, 0.8, 2) * (height, width)
        inside = (y - cy) ** 2 + (x - cx) ** 2 < (min(height, width) / 7) ** 2
        pixels[inside] = (200, 110, 160)
    grain = np.tile(rng.normal(0, 2, (256, 256, 3)), (height // 256 + 1, width // 256 + 1, 1))
    return np.clip(pixels + grain[:height, :width], 0, 255).astype(np.uint8)


def write_slide(path: Path, height: int = 1500, width: int = 2000, seed: int = 0) -> Path:
    """A tiled JPEG pyramid that says 0.5 microns per pixel."""
    path.write_bytes(slide_file(height, width, seed))
    return path


@lru_cache(maxsize=8)  # every test begins with the same two
def slide_file(height: int, width: int, seed: int) -> bytes:
    pixels = tissue(height, width, seed)
    text = f"Aperio Image Library v11.2.1\n{width}x{height} |AppMag = 20|MPP = {MPP}"
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for level in range(3):
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
    return stream.getvalue()


class SlidesWorld(World):
    """A shown viewer with the widget docked; `begin` gives every test a fresh library."""

    def __init__(self, folder: Path) -> None:
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1280, 800)
        self.folder = folder
        self.widget = SlidesWidget(self.viewer, folder / "libraries")
        self.viewer.window.add_dock_widget(self.widget, name="Slides", area="right")
        self.session = self.widget.session
        self.settle()

    def begin(self, folder: Path, count: int = 2) -> None:
        """Open a new library with slides."""
        folder.mkdir(exist_ok=True)
        self.widget.files.choice.open(folder / "test.slides")
        self.session.mask(False)
        self.widget.messages.refuse("")
        self.slides = [write_slide(folder / f"slide{n}.svs", seed=n) for n in range(count)]
        self.keys = self.widget.files.add_sources(str(path) for path in self.slides)
        self.wait_looked()

    def wait_looked(self) -> None:
        files = self.widget.files
        wait_until(lambda: not files.jobs.is_busy and not files._waiting and not files._folders)
        self.settle()

    def show(self, number: int = 0) -> int:
        """Open a slide and wait for it."""
        key = self.keys[number]
        self.widget.open_slide(key)
        wait_until(lambda: self.session.current == key)
        self.settle(0.2)
        return key

    @property
    def library(self) -> SlideLibrary:
        return self.session.library

    @property
    def layer(self) -> Any:
        return self.session.layer

    def point(self, x: float, y: float) -> QPoint:
        """Where a location, in pixels of level 0, is on the canvas."""
        camera, canvas = self.viewer.scene.camera, self.canvas
        _, cy, cx = camera.center
        wy, wx = self.layer.data_to_world((y - 0.5, x - 0.5))
        return QPoint(
            round((wx - cx) * camera.zoom + canvas.width() / 2),
            round((wy - cy) * camera.zoom + canvas.height() / 2),
        )

    def middle(self) -> tuple[float, float]:
        """The location in the middle of the canvas."""
        _, y, x = self.viewer.scene.camera.center
        place = self.layer.world_to_data((y, x))
        return float(place[1]) + 0.5, float(place[0]) + 0.5

    def row_center(self, row: int) -> QPoint:
        view = self.widget.list.view
        return view.visualRect(view.model().index(row, 0)).center()

    def double_click_row(self, row: int) -> None:
        view = self.widget.list.view
        left = Qt.MouseButton.LeftButton
        QTest.mouseClick(view.viewport(), left, NO_KEYS, self.row_center(row))
        QTest.mouseDClick(view.viewport(), left, NO_KEYS, self.row_center(row))
        self.settle()
