"""A window with the widget "Embedding map", and a backend that makes a map of what it is given."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from separation_world import NO_KEYS, World
from separation_world import wait_until as wait_at_most

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, Progress
from napari_medssl.backend.map_pictures import FilePictures
from napari_medssl.backend.map_source import MapSource
from napari_medssl.backend.map_trust import trust_of
from napari_medssl.index.neighbour_graph import nearest_rows
from napari_medssl.io.images import ImageRef
from napari_medssl.widgets.embedding_map import EmbeddingMapWidget

COUNT, GROUPS = 60, 3
CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, 8.0]])
TONES = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


def wait_until(holds: Any) -> None:
    wait_at_most(holds, 120.0)


def group_of(row: int) -> int:
    return row % GROUPS


def make_source(folder: Path, count: int = COUNT) -> MapSource:
    """Pictures of one colour each; their embeddings are three bundles of directions."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    refs, names = [], []
    for row in range(count):
        name = f"p{row:03d}.png"
        Image.new("RGB", (20, 16), TONES[group_of(row)]).save(folder / name)
        refs.append(ImageRef(folder / name))
        names.append(name)
    groups = np.arange(count) % GROUPS
    embeddings = np.eye(8)[groups] + rng.normal(0, 0.05, (count, 8))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    columns = {
        "folder": np.array([f"class {g}" for g in groups], object),
        "size": np.arange(count, dtype=np.float64),
    }
    return MapSource(
        tuple(names), embeddings.astype(np.float32), columns, FilePictures(refs), "a test"
    )


def places_of(count: int = COUNT) -> np.ndarray:
    rng = np.random.default_rng(1)
    groups = np.arange(count) % GROUPS
    return (CENTRES[groups] + rng.normal(0, 0.5, (count, 2))).astype(np.float32)


class FixedMap:
    """Makes the map of `source`; `go` lets it wait before the end, `refusal` lets it fail."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.source: MapSource | None = None
        self.refusal = ""
        self.asked: list[Path] = []

    def __call__(self, request: Any, *, on_progress: Any, should_stop: Any) -> None:
        self.asked.append(request.place)
        if self.refusal:
            raise UserError(self.refusal)
        source = self.source
        assert source is not None

        def step(name: str, value: Any) -> None:
            on_progress(Progress(0, None, name, {"step": (name, value)}))

        count = len(source.names)
        step("source", source)
        step("places", places_of(count) + 1)
        graph = nearest_rows(source.embeddings, 5)
        step("graph", graph)
        step("labels", np.arange(count) % GROUPS)
        while not self.go.wait(0.02):
            if should_stop():
                raise Cancelled
        step("places", places_of(count))
        step("trust", trust_of(source.embeddings, graph, places_of(count)))


class MapWorld(World):
    """A shown viewer with the widget docked; `begin` gives every test a fresh map."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1200, 900)
        self.work = FixedMap()
        self.widget = EmbeddingMapWidget(
            self.viewer, folder / "recent.json", self.work, folder / "cache", folder / "groups"
        )
        self.viewer.window.add_dock_widget(self.widget, name="Embedding map", area="right")
        self.session = self.widget.session
        self.settle()

    def begin(self, folder: Path) -> None:
        widget = self.widget
        wait_until(lambda: not widget.making.jobs.is_busy)
        self.work.__init__()
        widget.keeper.close()
        self.session.open(None)
        self.viewer.layers.clear()
        widget.set_tool("pan")
        widget.pages.setCurrentIndex(0)
        widget.messages.tell("", False)
        self.folder = folder
        self.work.source = make_source(folder / "pictures")
        self.open(folder / "pictures")

    def open(self, place: Path) -> None:
        self.widget.open(place)
        wait_until(lambda: not self.widget.making.jobs.is_busy)
        wait_until(lambda: not self.widget.keeper.is_opening and not self.map.is_drawing)
        self.settle()

    @property
    def map(self) -> Any:
        """The canvas of the widget; `canvas` is napari's."""
        return self.widget.canvas

    def at(self, x: float, y: float) -> QPoint:
        """Return the point of the map's widget at a place of the plane."""
        left, top = self.map.view.to_screen([(x, y)])[0]
        return QPoint(round(left), round(top))

    def at_row(self, row: int) -> QPoint:
        return self.at(*self.session.places[row])

    def draw_around(self, group: int, keys: Any = NO_KEYS, tool: str = "lasso") -> None:
        """Draw around a group of points with the mouse."""
        self.widget.set_tool(tool)
        x, y = CENTRES[group]
        corners = [(x - 3, y - 3), (x + 3, y - 3), (x + 3, y + 3), (x - 3, y + 3)]
        if tool == "rectangle":
            corners = [corners[0], corners[2]]
        points = [self.at(*corner) for corner in corners]
        QTest.mousePress(self.map, Qt.MouseButton.LeftButton, keys, points[0])
        for start, end in pairwise(points):
            for part in (0.5, 1.0):
                self.move(QPointF(start + (end - start) * part), keys)
        QTest.mouseRelease(self.map, Qt.MouseButton.LeftButton, keys, points[-1])
        self.settle()

    def move(self, point: QPointF, keys: Any) -> None:
        """Move the pressed mouse; QTest's own moves have no button."""
        from qtpy.QtCore import QEvent
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        left = Qt.MouseButton.LeftButton
        place = QPointF(self.map.mapToGlobal(point.toPoint()))
        event = QMouseEvent(QEvent.Type.MouseMove, point, place, left, left, keys)
        QApplication.sendEvent(self.map, event)

    def rows_of(self, *groups: int) -> list[int]:
        return [row for row in range(self.session.count) if group_of(row) in groups]

    def selected(self) -> list[int]:
        return self.session.selection.rows.tolist()
