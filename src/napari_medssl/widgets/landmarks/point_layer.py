"""The points of all images on the canvas, as Points layers that only show: a view of the store.

Three layers: the points, the matches of a place under the mouse, and the names of the images. Rows
are hidden rather than removed, and layers are used again: both take napari long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medssl.state.landmark_items import Point
from napari_medssl.state.landmarks import PointId
from napari_medssl.widgets.landmarks.image_layers import ImageLayers
from napari_medssl.widgets.landmarks.mosaic import Place
from napari_medssl.widgets.landmarks.session import LandmarkSession

POINTS, LIVE, NAMES = "landmarks", "live matches", "image names"
_ON_SCREEN = (13.0, 13.0)  # napari holds sizes between these: so points never grow or shrink
_LIVE_ON_SCREEN = (17.0, 17.0)
_DRAW_MS = 15  # many points may change at once
_WHITE = (1.0, 1.0, 1.0, 1.0)
_TITLE = "#7d8590"  # to be read on black and on white
_LIVE_COLOR = "#ffe629"
_REACH = 10.0  # pixels of the screen from which a point can be taken


class PointLayers(QObject):
    """Keeps the layers in step with the session.

    Signals
    -------
    made
        The layer of the points was made, or made anew after a person deleted it.
    """

    made = Signal(object)

    def __init__(
        self, viewer: Any, session: LandmarkSession, images: ImageLayers, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._images = images
        self.layer: Any = None
        self.live: Any = None
        self.names: Any = None
        self._rows: list[PointId] = []
        self._drawn: dict[str, Any] = {}
        self._dragged: tuple[PointId, Place] | None = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_DRAW_MS)
        self._later.timeout.connect(self.draw)
        images.moved.connect(self.draw)
        session.items_changed.connect(self._draw_later)
        session.current_changed.connect(self._draw_later)
        session.set_changed.connect(self._draw_later)

    def close(self) -> None:
        """Take the layers away."""
        self._later.stop()
        layers, self.layer, self.live, self.names = [self.layer, self.live, self.names], *[None] * 3
        for layer in layers:
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    @property
    def pixel(self) -> float:
        """Size of a pixel of the screen in the world."""
        return 1.0 / float(self._viewer.scene.camera.zoom)

    def point_at(self, world: Any) -> PointId | None:
        """Return the point under the mouse, the one in front before others, or None."""
        reach = _REACH * self.pixel
        best: tuple[float, PointId] | None = None
        for pair in self._rows:
            spot = self._images.mosaic.spots.get(pair[0])
            place = self._session.store.point(*pair).place
            if spot is None or place is None:
                continue
            y, x = spot.to_world(place)
            away = float(np.hypot(y - world[-2], x - world[-1]))
            away *= 0.5 if pair == self._session.current else 1.0
            if away <= reach and (best is None or away < best[0]):
                best = away, pair
        return None if best is None else best[1]

    def drag(self, pair: PointId, place: Place | None) -> None:
        """Show a point at a place for the time of a drag; None ends it."""
        self._dragged = None if place is None else (pair, place)
        self.draw()

    def show_live(self, places: dict[int, tuple[Place, float]]) -> None:
        """Show where a place of the template lies in other images, with its score; {} for none."""
        spots = self._images.mosaic.spots
        rows = [
            (spots[key].to_world(p), score) for key, (p, score) in places.items() if key in spots
        ]
        if self.live is None or self.live not in self._viewer.layers:
            if not rows:
                return
            self.live = self._add(LIVE, symbol="cross", canvas_size_limits=_LIVE_ON_SCREEN)
        data = np.array([world for world, _ in rows], float).reshape(-1, 2)
        self.live.data = data
        if rows:
            self.live.face_color = _faded(_LIVE_COLOR, [score for _, score in rows])

    # -- inside ----------------------------------------------------------------------------------

    def _draw_later(self, *_: object) -> None:
        self._later.start()

    def draw(self) -> None:
        """Show what the session holds now."""
        store = self._session.store
        self._rows = [(image, name) for image in self._images.shown for name in store.names()]
        if not self._rows and self.layer is None:
            return
        self._ensure()
        looks = [self._look(pair) for pair in self._rows]
        data = np.array([look[0] for look in looks], float).reshape(-1, 2)
        self._set("data", data)
        self._set("shown", np.array([look[1] for look in looks], bool))
        self._set("face_color", np.array([look[2] for look in looks], float).reshape(-1, 4))
        self._set("border_color", np.array([look[3] for look in looks], float).reshape(-1, 4))
        self._set("symbol", [look[4] for look in looks])
        labels = [store.name(name).name for _, name in self._rows]
        if labels != self._drawn.get("labels"):
            self._drawn["labels"] = labels
            self.layer.features = {"label": np.array(labels, object)}
        self._draw_names()

    def _set(self, name: str, value: Any) -> None:
        """Set an attribute of the layer unless it is so: each redraws all of it."""
        former = self._drawn.get(name)
        if former is not None and len(former) == len(value) and np.array_equal(former, value):
            return
        if name == "data" and (former is None or len(former) != len(value)):
            self._drawn.clear()  # napari fills up what belongs to new rows
        self._drawn[name] = value
        if len(value) or name == "data":
            setattr(self.layer, name, value)

    def _look(self, pair: PointId) -> tuple[Any, ...]:
        """Return where a point is, whether it is shown, both colours and the symbol."""
        store, session = self._session.store, self._session
        point = store.point(*pair)
        place = point.place
        if self._dragged is not None and self._dragged[0] == pair:
            place = self._dragged[1]
        spot = self._images.mosaic.spots.get(pair[0])
        if place is None or spot is None:
            return (0.0, 0.0), False, (0, 0, 0, 0), (0, 0, 0, 0), "disc"
        color = tuple(value / 255 for value in store.name(pair[1]).color)
        is_current = pair == session.current
        face = (*color, 1.0 if point.is_decided else 0.25)
        border = _WHITE if is_current else (*color, 1.0)
        return spot.to_world(place), True, face, border, _symbol(point)

    def _ensure(self) -> None:
        if self.layer is not None and self.layer in self._viewer.layers:
            return
        self._drawn.clear()
        self.layer = self._add(
            POINTS,
            features={"label": np.array([], dtype=object)},
            text={"string": "{label}", "size": 8, "color": "white", "anchor": "lower_left"},
        )
        self.layer.mode = "pan_zoom"
        self._viewer.layers.selection.active = self.layer
        self.made.emit(self.layer)

    def _add(self, name: str, canvas_size_limits: Any = _ON_SCREEN, **how: Any) -> Any:
        layers = self._viewer.layers
        active = layers.selection.active
        layer = self._viewer.add_points(
            np.empty((0, 2)),
            ndim=2,
            name=name,
            border_width=0.13,
            canvas_size_limits=canvas_size_limits,
            size=1,
            metadata={"medssl": {"kind": name}},
            **how,
        )
        layer.events.editable.connect(_hold_back)
        layer.editable = False
        if active is not None and active in layers:
            layers.selection.active = active
        return layer

    def _draw_names(self) -> None:
        spots, store = self._images.mosaic.spots, self._session.store
        front = self._images.mosaic.front
        rows = [(spot.to_world((-0.5, -0.5)), key) for key, spot in spots.items() if key in store]
        titles = [
            f"{'template: ' if key == front else ''}{store.image(key).name}" for _, key in rows
        ]
        look = [(world, title) for (world, _), title in zip(rows, titles, strict=True)]
        if look == self._drawn.get("names") and self.names in self._viewer.layers:
            return
        self._drawn["names"] = look
        if self.names is None or self.names not in self._viewer.layers:
            self.names = self._add(
                NAMES,
                face_color="transparent",
                border_color="transparent",
                features={"title": np.array([], dtype=object)},
                text={"string": "{title}", "size": 9, "color": _TITLE, "anchor": "upper_left"},
            )
            at = self._viewer.layers.index(self.layer)
            self._viewer.layers.move(self._viewer.layers.index(self.names), at)
        self.names.data = np.array([world for world, _ in rows], float).reshape(-1, 2)
        self.names.features = {"title": np.array(titles, object)}


def _hold_back(event: Any) -> None:
    """Keep napari's own tools off a view: what they add, move or delete would be in no set."""
    if event.source.editable:
        event.source.editable = False


def _symbol(point: Point) -> str:
    if point.is_template:
        return "star"
    return "square" if point.state == "locked" else "disc"


def _faded(color: str, scores: list[float]) -> Any:
    """Return a colour for each score, paler the lower it is."""
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return np.array([(red, green, blue, 0.35 + 0.65 * s) for s in scores], float).reshape(-1, 4)
