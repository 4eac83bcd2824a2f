"""A window with the widget "Landmarks", pictures that are shifted copies, and a known engine."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from separation_world import NO_KEYS, World
from separation_world import wait_until as wait_at_most

from napari_medssl.backend.compute_process import ComputeLostError
from napari_medssl.backend.landmark_suggestion import Suggestion
from napari_medssl.backend.landmark_values import Candidate, LandmarkMatch, SimilarityPicture
from napari_medssl.backend.match_landmarks import ImageMatches, PlacedTemplate, SeenImage
from napari_medssl.io.images import read_image
from napari_medssl.widgets.landmarks import LandmarksWidget

WIDTH, HEIGHT = 160, 120
SHIFTS = ((0, 0), (6, 4), (-8, 5), (10, -6), (3, 9))
SCORES = (1.0, 0.9, 0.4, 0.7, 0.8)
OTHER = ((0, 0), (25, 0), (0, 25))
"""Where the second and third candidate lie from the first."""


def wait_until(holds: Any) -> None:
    """Let Qt work until a condition holds, also where other programs leave this one little."""
    wait_at_most(holds, 120.0)


def picture(shift: tuple[int, int]) -> np.ndarray:
    """A grey picture with three bright spots, shifted by (x, y)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.full((HEIGHT, WIDTH), 40.0)
    for cx, cy in ((50, 40), (110, 45), (80, 90)):
        pixels += 180 * np.exp(-((x - cx - shift[0]) ** 2 + (y - cy - shift[1]) ** 2) / 60)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def write_pictures(folder: Path, count: int = 4) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, shift in enumerate(SHIFTS[:count]):
        paths.append(folder / f"scan{number}.png")
        Image.fromarray(picture(shift)).save(paths[-1])
    return paths


class KnownEngine:
    """Knows by the file name how each picture is shifted. `held` lets it wait."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.asked: list[tuple[Any, ...]] = []
        self.absent: set[str] = set()
        self.gone: set[str] = set()
        self.scores: dict[str, float] = {}
        self.kills: list[tuple[str, str]] = []  # what ends the compute process, once each

    def look(self, source: str, should_stop: Any = None) -> SeenImage:
        self._work("look", source)
        pixels = read_image(source)
        self.asked.append(("look", source))
        self.gone.discard(source)
        return SeenImage(source, pixels.shape[1], pixels.shape[0])

    def prepare(self, templates: Any, images: Any, should_stop: Any = None) -> None:
        self.asked.append(("prepare", tuple(templates), tuple(images)))

    def match(
        self, templates: Any, images: Any, labels: Any, should_stop: Any = None
    ) -> tuple[ImageMatches, ...]:
        assert self.go.wait(20)
        self._work("match", images[0])
        self.asked.append(("match", tuple(images), tuple(labels)))
        return tuple(self._matches(templates, image, labels) for image in images)

    def _work(self, verb: str, image: str) -> None:
        if (verb, image) in self.kills:
            self.kills.remove((verb, image))
            raise ComputeLostError("The compute process ended by itself.")

    def _matches(self, templates: Any, image: str, labels: Any) -> ImageMatches:
        if image in self.gone:
            return ImageMatches(image, (), (image,))
        found = []
        for label in labels:
            of = next(t for t in templates if label in t.points)
            x, y = self.shifted(of, image, label)
            top = self.scores.get(image, SCORES[number_of(image)])
            top = min(1.0, top + 0.2 * (sum(label in t.points for t in templates) - 1))
            candidates = tuple(
                Candidate(x + dx, y + dy, max(0.0, top - 0.2 * n), 0.5 + n)
                for n, (dx, dy) in enumerate(OTHER)
            )
            found.append(LandmarkMatch(label, candidates, image not in self.absent))
        return ImageMatches(image, tuple(found))

    def suggest(self, templates: Any, images: Any, uncertainty: Any) -> Suggestion | None:
        others = [key for key in images if key not in templates]
        best = max(others, key=lambda key: uncertainty[key])
        return Suggestion(best, tuple(key for key in others if key != best), 0.5)

    def shifted(self, template: PlacedTemplate, image: str, label: str) -> tuple[float, float]:
        (x, y), one, other = (
            template.points[label],
            SHIFTS[number_of(template.key)],
            SHIFTS[number_of(image)],
        )
        return x - one[0] + other[0], y - one[1] + other[1]

    def picture(self, templates: Any, image: str, label: str) -> SimilarityPicture | None:
        x, y = self.shifted(templates[0], image, label)
        rows, columns = np.mgrid[: HEIGHT // 8, : WIDTH // 8]
        away = (columns * 8 + 3.5 - x) ** 2 + (rows * 8 + 3.5 - y) ** 2
        values = np.exp(-away / 400).astype(np.float32)
        return SimilarityPicture(values, (8.0, 8.0), (3.5, 3.5))


def number_of(source: str) -> int:
    return int(Path(source).stem[-1])


class LandmarksWorld(World):
    """A shown viewer with the widget docked; `begin` gives every test a fresh widget and set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1100, 640)
        self.widget: Any = None

    def begin(self, folder: Path, count: int = 4, *, names: tuple[str, ...] = ("A", "B")) -> None:
        self.engine = KnownEngine()
        if self.widget is None:
            self.widget = LandmarksWidget(self.viewer, lambda: self.engine, folder / "sets")
            self.viewer.window.add_dock_widget(self.widget, name="Landmarks", area="right")
            self.session = self.widget.session
        else:
            self._begin_anew(folder / "sets")
        self.settle()
        if count:
            self.paths = write_pictures(folder / "scans", count)
            self.open(folder / "scans")
            for name in names:
                self.store.add_name(name)
            self.session.choose(name=self.store.names()[0] if names else None)
            self.settle()

    def _begin_anew(self, sets: Path) -> None:
        """Use the widget again: to take its layers away takes napari seconds."""
        widget = self.widget
        widget.files.close_set()
        widget.maps_box.setChecked(False)
        widget.messages.refuse("")
        widget.files._sets, widget.files._recent = sets, sets / "recent.json"
        widget.exchange._templates = sets / "templates"
        ours = {id(layer) for layer in (*widget.images.layers, *widget.maps._spare)}
        ours |= {
            id(layer) for layer in (widget.points.layer, widget.points.live, widget.points.names)
        }
        for layer in [layer for layer in self.viewer.layers if id(layer) not in ours]:
            self.viewer.layers.remove(layer)

    def settle(self, seconds: float = 0.05) -> None:
        """Let Qt work, and wait for all that is drawn a moment later."""
        super().settle(seconds)
        if self.widget is not None:
            parts = (self.widget.points, self.widget.table, self.widget.list, self.widget.measure)
            timers = [part._later for part in (*parts, self.widget.list.model)]
            wait_until(lambda: not any(timer.isActive() for timer in timers))

    def open(self, *paths: Path) -> None:
        self.widget.files.add_paths(paths)
        wait_until(lambda: not self.widget.files.is_busy)
        self.wait_idle()

    def wait_idle(self) -> None:
        """Wait until all images are shown, looked at and compared."""
        matching, images = self.widget.matching, self.widget.images
        wait_until(
            lambda: (
                not matching.is_busy
                and not matching._pending
                and not images.is_reading
                and not self.widget.maps.is_busy
            )
        )
        self.settle(0.1)

    def end(self) -> None:
        if self.widget is not None:
            self.widget.shut_down()
            self.viewer.window.remove_dock_widget(self.widget)
            self.widget.deleteLater()
            self.widget = self.session = None
        self.viewer.layers.clear()
        self.settle()

    @property
    def store(self) -> Any:
        return self.session.store

    def ids(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids of the images and of the landmarks."""
        return self.store.images(), self.store.names()

    def on_canvas(self, image: int, x: float, y: float) -> QPoint:
        """Where a place of an image is on the canvas."""
        wy, wx = self.widget.images.mosaic.spots[image].to_world((x, y))
        camera, canvas = self.viewer.scene.camera, self.canvas
        _, cy, cx = camera.center
        return QPoint(
            round((wx - cx) * camera.zoom + canvas.width() / 2),
            round((wy - cy) * camera.zoom + canvas.height() / 2),
        )

    def click_image(self, image: int, x: float, y: float, keys: Any = NO_KEYS) -> None:
        at = self.on_canvas(image, x, y)
        QTest.mouseMove(self.canvas, at + QPoint(1, 1))
        QTest.mouseMove(self.canvas, at)
        self.settle(0.02)
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, keys, at)
        self.settle()

    def place(self, image: int, x: float, y: float, keys: Any = NO_KEYS) -> None:
        """Click and wait for the matches."""
        self.click_image(image, x, y, keys)
        self.wait_idle()

    def drag_point(self, image: int, start: Any, stop: Any) -> None:
        left = Qt.MouseButton.LeftButton
        first, last = self.on_canvas(image, *start), self.on_canvas(image, *stop)
        QTest.mouseMove(self.canvas, first)
        self.settle(0.02)
        QTest.mousePress(self.canvas, left, NO_KEYS, first)
        for part in (0.3, 0.7, 1.0, 1.0):
            self.move_pressed(first + (last - first) * part, NO_KEYS)
            self.settle(0.02)
        QTest.mouseRelease(self.canvas, left, NO_KEYS, last)
        self.wait_idle()

    def shake(self, at: QPoint) -> None:
        """Click as hands do: the mouse moves by a pixel or two meanwhile."""
        left, last = Qt.MouseButton.LeftButton, at + QPoint(2, 1)
        QTest.mouseMove(self.canvas, at)
        self.settle(0.02)
        QTest.mousePress(self.canvas, left, NO_KEYS, at)
        self.move_pressed(last, NO_KEYS)
        self.settle(0.02)
        QTest.mouseRelease(self.canvas, left, NO_KEYS, last)
        self.wait_idle()

    def move_hovering(self, at: QPoint, keys: Any) -> None:
        """QTest moves with no keys held."""
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(at),
            QPointF(self.canvas.mapToGlobal(at)),
            Qt.MouseButton.NoButton,
            Qt.MouseButton.NoButton,
            keys,
        )
        QApplication.sendEvent(self.canvas, event)

    def shown_points(self) -> dict[tuple[int, int], tuple[float, float]]:
        """What the layer of the points shows, as places in the images."""
        self.settle(0.05)
        layer, points = self.widget.points.layer, self.widget.points
        spots = self.widget.images.mosaic.spots
        return {
            pair: spots[pair[0]].to_place(world)
            for pair, world, is_shown in zip(points._rows, layer.data, layer.shown, strict=True)
            if is_shown
        }
