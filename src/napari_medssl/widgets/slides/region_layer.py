"""The regions as a Shapes layer: a view of the region store, never the truth.

What a person does in the layer goes to the store; what changes in the store is taken out of the
layer and put in again, those regions only.

More than 300 lines: both directions of one synchronisation, which share what they leave out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medssl._errors import UserError
from napari_medssl.io.color import Color
from napari_medssl.state.history import Edit
from napari_medssl.state.region_classes import RegionClass
from napari_medssl.state.regions import Item, Region, RegionStore
from napari_medssl.widgets._shortcuts import ShortcutRegistry
from napari_medssl.widgets.slides.camera import screen_pixels
from napari_medssl.widgets.slides.region_parts import Part, drawn_roi, parts_of, roi_of_parts
from napari_medssl.widgets.slides.region_session import RegionSession
from napari_medssl.widgets.slides.session import SlidesSession

LAYER_NAME = "regions"
MOST_SHAPES = 2000
_FEW = 100  # drawn in any case: what a person has just made is seen
_MOST_RESIZED = 400  # outlines whose width follows the zoom
_EDGE_ON_SCREEN = 2.0
_SMALLEST_ON_SCREEN = 4.0  # a click without a drag draws something smaller
_NO_CLASS: Color = (230, 25, 75)
_FACE = 0x22
_TOP = 10_000  # of the pile of regions; the largest, of 10^13 pixels, lies at 5,700
_ROUNDING = 0.05  # pixels of level 0


class RegionLayer(QObject):
    """Show the regions of the slide in front and take a person's edits from the layer.

    Signals
    -------
    refused
        Why an edit was not taken; "" when one was.
    mode_changed
        The tool that the mouse has now, in napari's words; "" without a layer.
    """

    refused = Signal(str)
    mode_changed = Signal(str)

    def __init__(
        self,
        viewer: Any,
        slides: SlidesSession,
        session: RegionSession,
        keys: ShortcutRegistry,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._slides = slides
        self._session = session
        self._keys = keys
        self._ids: list[int] = []  # the region of each shape of the layer, -1 for a slip
        self._parts: list[Part] = []
        self._crooked: set[int] = set()
        self._is_ours = False
        self._must_redraw = False
        self.layer: Any = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(120)
        self._later.timeout.connect(self._resize_outlines)
        viewer.scene.camera.events.zoom.connect(self._on_zoom)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        session.opened.connect(self._on_opened)
        session.changed.connect(self._on_changed)
        session.class_chosen.connect(self._on_class_chosen)
        session.selection.changed.connect(self._on_selection)

    def close(self) -> None:
        """Listen to the viewer no more."""
        self._viewer.scene.camera.events.zoom.disconnect(self._on_zoom)
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)

    @property
    def is_drawing(self) -> bool:
        """True while a shape is being drawn, which the store does not know yet."""
        return self._is_there and len(self.layer.data) > len(self._ids)

    @property
    def _is_there(self) -> bool:
        return self.layer is not None and self.layer in self._viewer.layers

    def set_mode(self, mode: str) -> None:
        """Give the mouse a tool of napari, such as "add_rectangle" or "select"."""
        if self._session.store is None:
            self.refused.emit("No slide is open. Open one from the list first.")
            self._on_mode()
            return
        if not self._is_there:
            self._redraw((), ())
        self._viewer.layers.selection.active = self.layer
        self.layer.mode = mode
        self._on_mode()  # also where it has that tool already

    def count_hidden(self) -> int:
        """Return how many regions are not drawn because there are too many."""
        store = self._session.store
        if store is None or not self._is_there:
            return 0
        return max(0, len(store.region_keys()) - len(set(self._ids) - {-1}))

    def _ensure_layer(self) -> Any:
        if not self._is_there:
            shown = self._slides.layer
            self._ids, self._parts = [], []
            self.layer = self._viewer.add_shapes(
                ndim=2,
                name=LAYER_NAME,
                scale=shown.scale,
                units=shown.units,
                opacity=1.0,
                metadata={"medssl": {"kind": "regions"}},
            )
            self.layer.events.data.connect(self._on_layer_data)
            self.layer.events.mode.connect(self._on_mode)
            self.layer.selected_data.events.items_changed.connect(self._on_layer_selection)
            self._keys.bind(self.layer)
            self._set_next_look()
            self._on_mode()
        return self.layer

    # -- store to layer --------------------------------------------------------------------------

    def _on_opened(self) -> None:
        layer, self.layer = self.layer, None
        self._ids, self._parts, self._crooked = [], [], set()
        if layer is not None and layer in self._viewer.layers:
            with self._ours():
                self._viewer.layers.remove(layer)
        self._on_mode()
        store = self._session.store
        if store is not None and store.region_keys() and self._slides.layer is not None:
            front = self._viewer.layers.selection.active
            self._ensure_layer()
            self._redraw((), store.region_keys())
            if front is not None and front in self._viewer.layers:
                self._viewer.layers.selection.active = front

    def _on_layer_removed(self, event: Any) -> None:
        """Somebody took the layer away: the regions are safe, a tool brings the layer back."""
        if event.value is self.layer and not self._is_ours:
            self.layer = None
            self._ids, self._parts = [], []
            self._on_mode()

    def _on_changed(self, edit: Edit[Item]) -> None:
        """Redraw what an edit touched, unless the layer shows it so already."""
        store = self._session.store
        if store is None:
            return
        touched = {k for k, item in (*edit.before.items(), *edit.after.items()) if _is_region(item)}
        for key, item in (*edit.before.items(), *edit.after.items()):
            if isinstance(item, RegionClass):
                touched |= {k for k in store.region_keys() if store.region(k).class_key == key}
                self._set_next_look()
        if self._is_ours:
            self._crooked |= touched
            return
        self._redraw(touched, [key for key in touched if key in store])

    def _redraw(self, gone: Iterable[int], fresh: Iterable[int]) -> None:
        if self._session.store is None or self._slides.layer is None:
            return
        if not self._is_there:
            self._ensure_layer()
            fresh = self._session.store.region_keys()
        elif self.is_drawing:
            self._must_redraw = True  # napari holds on to the index of the shape
            return
        with self._ours():
            self._take_out(gone)
            self._put_in(fresh)
            self._show_selection()

    def _redraw_all(self) -> None:
        self._must_redraw = False
        store = self._session.store
        if store is not None and self._is_there:
            self._redraw(set(self._ids), store.region_keys())

    def _take_out(self, keys: Iterable[int]) -> None:
        wanted = set(keys)
        indices = [index for index, key in enumerate(self._ids) if key in wanted]
        if indices:
            self.layer.selected_data = set()
            self.layer.remove(indices)
            kept = [index for index, key in enumerate(self._ids) if key not in wanted]
            self._parts = [self._parts[index] for index in kept]
            self._ids = [self._ids[index] for index in kept]

    def _put_in(self, keys: Iterable[int]) -> None:
        store = self._session.store
        there = set(self._ids)
        chosen = [k for k in keys if store is not None and k in store and k not in there]
        if store is None or not chosen:
            return
        areas = shapely.area([store.region(key).shape for key in chosen])
        room = np.inf if len(chosen) <= _FEW else MOST_SHAPES - len(self._ids)
        radius = self._point_radius()
        ids: list[int] = []
        parts: list[Part] = []
        for index in np.argsort(-areas, kind="stable"):
            if len(ids) >= room:
                break
            found = parts_of(store.region(chosen[index]).feature.roi, radius)
            ids += [chosen[index]] * len(found)
            parts += found
        if not ids:
            return
        colors = [_color(store, store.region(key)) for key in ids]
        self.layer.add(
            [part.vertices for part in parts],
            shape_type=[part.kind for part in parts],
            edge_color=[_hex(color) for color in colors],
            face_color=[
                _hex(color, 0 if part.kind == "path" or part.ring else _FACE)
                for color, part in zip(colors, parts, strict=True)
            ],
            edge_width=[self._edge_width()] * len(ids),
            z_index=[_depth(store.region(key)) for key in ids],
        )
        self._ids += ids
        self._parts += parts

    def _point_radius(self) -> float:
        return max(3.0, float(max(self._slides.layer.data[0].shape[:2])) / 400)

    def _edge_width(self) -> float:
        return max(0.1, _EDGE_ON_SCREEN * screen_pixels(self._viewer, self._slides.layer))

    def _on_zoom(self, _event: Any) -> None:
        if self._is_there:
            self._later.start()

    def _resize_outlines(self) -> None:
        """Keep the outlines as wide on the screen as they were."""
        if not self._is_there or self._slides.layer is None or self.is_drawing:
            return
        width = self._edge_width()
        if 0 < len(self._ids) <= _MOST_RESIZED:
            with self._ours():
                self.layer.edge_width = [width] * len(self._ids)
        self.layer.current_edge_width = width

    def _set_next_look(self) -> None:
        """Give the next shape that is drawn the colour of its class."""
        store = self._session.store
        if store is None or self.layer is None:
            return
        found = store.region_class(self._session.active_class)
        color = found.color if found is not None else _NO_CLASS
        # Without this napari would recolour what is selected.
        with self._ours(), self.layer.block_update_properties():
            self.layer.current_edge_color = _hex(color)
            self.layer.current_face_color = _hex(color, _FACE)
            if self._slides.layer is not None:
                self.layer.current_edge_width = self._edge_width()

    def _on_class_chosen(self) -> None:
        if self._is_there:
            self._set_next_look()

    # -- layer to store --------------------------------------------------------------------------

    def _on_layer_data(self, event: Any) -> None:
        """Take over what a person did in the layer."""
        store = self._session.store
        if self._is_ours or store is None:
            return
        action = str(getattr(event.action, "value", event.action))
        takes: dict[str, Callable[[RegionStore, Any], None]] = {
            "added": self._take_drawn,
            "removed": self._take_removed,
            "changed": self._take_changed,
        }
        if action not in takes:
            return  # announced only: the gesture is still going on
        self.refused.emit("")
        with self._ours():
            try:
                takes[action](store, event.data_indices)
            except UserError as error:
                self._crooked |= {key for key in self._ids if key in store}
                self.refused.emit(str(error))
        # The gesture that sent this event is not over: napari still holds on to indices.
        QTimer.singleShot(0, self._straighten)

    def _take_drawn(self, store: RegionStore, _indices: Any) -> None:
        smallest = _SMALLEST_ON_SCREEN * screen_pixels(self._viewer, self._slides.layer)
        types = list(self.layer.shape_type)
        for index in range(len(self._ids), len(self.layer.data)):
            kind = str(types[index])
            roi = drawn_roi(kind, self.layer.data[index])
            self._parts.append(Part(kind, self.layer.data[index]))
            if roi is None or max(_sides(roi.shape.bounds)) < smallest:
                self._ids.append(-1)  # a slip of the mouse: drawn, but not in the store
                continue
            key = store.draw(roi, self._session.active_class)
            self._ids.append(key)
            self._crooked.add(key)
            self._session.selection.replace([key], self)

    def _take_removed(self, store: RegionStore, indices: Any) -> None:
        positions = {index % max(1, len(self._ids)) for index in indices}
        touched = {self._ids[index] for index in positions if index < len(self._ids)}
        kept = [index for index in range(len(self._ids)) if index not in positions]
        self._ids = [self._ids[index] for index in kept]
        self._parts = [self._parts[index] for index in kept]
        self._crooked |= touched
        with store.edit("delete"):
            for key in touched:
                if key in store:
                    self._take_shape(store, key, "delete part")

    def _take_changed(self, store: RegionStore, indices: Any) -> None:
        data = self.layer.data
        if len(data) != len(self._ids):
            raise UserError(
                "Shapes were replaced by another program; the regions stay as they are."
            )
        listed = {index % max(1, len(data)) for index in indices}
        touched = {self._ids[index] for index in listed}
        is_move = all(_is_shifted(self._parts[index].vertices, data[index]) for index in listed)
        for index in listed:
            exact = _exactly(self._parts[index].vertices, data[index])
            self._parts[index] = replace(self._parts[index], vertices=exact)
        self._crooked |= touched
        with store.edit("move" if is_move else "reshape"):
            for key in touched:
                if key in store:
                    self._take_shape(store, key, "reshape")

    def _take_shape(self, store: RegionStore, key: int, name: str) -> None:
        """Make a region of what its shapes are now."""
        former = store.region(key).feature.roi
        parts = [p for k, p in zip(self._ids, self._parts, strict=True) if k == key]
        roi = roi_of_parts(former, parts)
        if roi is None:
            store.remove([key])
        elif not roi.shape.equals_exact(former.shape, 1e-6):
            store.reshape(key, roi, name)

    def _straighten(self) -> None:
        """Redraw what the store holds otherwise than it was drawn."""
        crooked, self._crooked = self._crooked, set()
        store = self._session.store
        if not self._is_there or store is None or self._slides.layer is None:
            return
        if self._must_redraw:
            self._redraw_all()
            return
        if crooked or -1 in self._ids:
            self._redraw({*crooked, -1}, [key for key in crooked if key in store])

    # -- selection and mode ----------------------------------------------------------------------

    def _on_layer_selection(self, *_: Any) -> None:
        if self._is_ours or self.layer is None:
            return
        chosen = {self._ids[i] for i in self.layer.selected_data if i < len(self._ids)} - {-1}
        self._session.selection.replace(chosen, self)
        # A region of several rings is selected, moved and deleted as a whole.
        if self.layer.mode == "select":
            with self._ours():
                self._show_selection()

    def _on_selection(self, _items: frozenset[Any], source: object) -> None:
        if source is not self and self._is_there and not self.is_drawing:
            with self._ours():
                self._show_selection()

    def _show_selection(self) -> None:
        wanted = {i for i, key in enumerate(self._ids) if key in self._session.selection}
        if set(self.layer.selected_data) != wanted:
            self.layer.selected_data = wanted

    def _on_mode(self, _event: Any = None) -> None:
        """Regions lie where the slide does: the tool that moves the whole layer leads back."""
        if self.layer is not None and self.layer.mode == "transform":
            QTimer.singleShot(0, self._leave_transform)
        self.mode_changed.emit("" if self.layer is None else str(self.layer.mode))

    def _leave_transform(self) -> None:
        if self._is_there:
            self.layer.mode = "select"

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """Mark changes of the layer as our own, so that they do not come back as edits."""
        before, self._is_ours = self._is_ours, True
        try:
            yield
        finally:
            self._is_ours = before


def _is_region(item: Item) -> bool:
    return isinstance(item, Region)


def _is_shifted(before: np.ndarray, after: np.ndarray) -> bool:
    return before.shape == after.shape and float(np.ptp(after - before, axis=0).max()) < _ROUNDING


def _exactly(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return vertices as they are now; napari rounds to 32 bits, so what stayed is as before."""
    after = np.asarray(after, float)[:, -2:]
    if before.shape != after.shape:
        return after
    if _is_shifted(before, after):
        return np.asarray(before + np.median(after - before, axis=0))
    stayed = np.abs(after - before).max(axis=1) < _ROUNDING
    return np.where(stayed[:, None], before, after)


def _sides(bounds: tuple[float, ...]) -> tuple[float, float]:
    return bounds[2] - bounds[0], bounds[3] - bounds[1]


def _depth(region: Region) -> int:
    """Return the place in the pile: large ones below small ones, so that both can be picked."""
    return _TOP - round(100 * math.log2(1 + region.shape.area))


def _color(store: RegionStore, region: Region) -> Color:
    own = region.feature.color
    of_class = store.region_class(region.class_key)
    return own or (of_class.color if of_class is not None else _NO_CLASS)


def _hex(color: Color, alpha: int = 255) -> str:
    return "#" + "".join(f"{value:02x}" for value in (*color, alpha))
