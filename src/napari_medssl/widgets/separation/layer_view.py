"""The boxes of the figure in front as a Shapes layer: a view of the box store, never the truth.

What a person does in the layer goes to the store; what changes in the store is taken out of the
layer and put in again, those boxes only. A pixel of the image is centred on whole coordinates in
napari, so that a box from x0 to x1 is drawn from x0 - 0.5 to x1 - 0.5.

More than 300 lines: both directions of one synchronisation, which share what they leave out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_medssl.io.boxes import Box
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.history import Edit
from napari_medssl.widgets.separation.session import Session
from napari_medssl.widgets.separation.text_color import readable_color

LAYER_NAME = "panels"
SNAP_ON_SCREEN = 8.0
SMALLEST_DRAWN = 3.0
SMALLEST_ON_SCREEN = 8.0  # a click without a drag draws a box of about 5
MOST_WITH_TEXT = 120
TEXT_ON_SCREEN = np.array([22.0, -4.0])  # from the upper right corner, down and to the left
_COLORS = {"person": "#0a84c1", "certain": "#1e9e4a", "doubtful": "#e8590c"}
LETTER_ON_SCREEN = np.array([18.0, 9.0])  # height of words, width of one letter
_NO_COLOR = "#8f0052"
_MODES = {"pan_zoom", "select", "add_rectangle"}


def box_to_vertices(box: Box) -> np.ndarray:
    """Return the corners as napari wants them: (y, x), shape (4, 2), pixel centres whole."""
    x0, y0, x1, y1 = box.x0 - 0.5, box.y0 - 0.5, box.x1 - 0.5, box.y1 - 0.5
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])


def vertices_to_box(vertices: np.ndarray) -> Box:
    """Return the bounds of any shape, vertices (y, x), shape (N, 2), as a box in pixels."""
    points = np.asarray(vertices, dtype=float)[:, -2:]
    (y0, x0), (y1, x1) = points.min(axis=0) + 0.5, points.max(axis=0) + 0.5
    return Box(float(x0), float(y0), float(x1), float(y1))


def _is_upright(vertices: np.ndarray) -> bool:
    """Tell whether the corners of a rectangle lie on those of its bounds."""
    box = box_to_vertices(vertices_to_box(vertices))
    points = np.asarray(vertices, dtype=float)[:, -2:]
    return bool(np.all(np.abs(points[:, None] - box[None]).max(axis=2).min(axis=1) < 1e-3))


def _kind(box: Box) -> str:
    if box.score is None:
        return "person"
    return "certain" if box.score >= 0.8 else "doubtful"


def _text(box: Box) -> str:
    score = "" if box.score is None else f"{box.score:.2f}"
    return "  ".join(part for part in (box.label, score) if part)


class BoxLayer:
    """Show the boxes of a session in a viewer and take a person's edits from there.

    Parameters
    ----------
    viewer
        napari viewer.
    session
        What to show; the filter, the selection and the snapping are its.

    Attributes
    ----------
    made
        Emitted with the layer when it is new: keys and tools have to be given to it.
    """

    made = Signal(object)

    def __init__(self, viewer: Any, session: Session) -> None:
        self._viewer = viewer
        self._session = session
        self._store: BoxStore | None = None
        self._ids: list[int] = []
        self._crooked: set[int] = set()
        self._colors: dict[int, str] = {}
        self._is_ours = False
        self.layer: Any = None
        self._later = QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(60)
        self._later.timeout.connect(self._place_text)
        viewer.scene.camera.events.zoom.connect(self._on_zoom)
        viewer.layers.events.removed.connect(self._on_removed)
        session.current_changed.connect(self._on_current)
        session.threshold_changed.connect(self._on_threshold)
        session.selection.changed.connect(self._on_selection)

    def ensure_layer(self) -> Any:
        """Return the layer; make it if it is not in the viewer (any more)."""
        if self.layer is None or self.layer not in self._viewer.layers:
            self._ids = []
            self.layer = self._viewer.add_shapes(
                ndim=2,
                name=LAYER_NAME,
                features={"panel": np.array([], dtype=str), "color": np.array([], dtype=str)},
                text={
                    "string": "{panel}",
                    "size": 11,
                    "color": {"feature": "color", "fallback": _NO_COLOR},
                    "anchor": "upper_right",
                },
                edge_color=_COLORS["person"],
                face_color="transparent",
                opacity=1.0,
                metadata={"medssl": {"kind": "panels"}},
            )
            # Not to be thrown away by a slip; some OpenGL drivers crash after that, too.
            self.layer.locked = True
            self.layer.events.data.connect(self._on_layer_data)
            self.layer.events.mode.connect(self._on_mode)
            self.layer.selected_data.events.items_changed.connect(self._on_layer_selection)
            self.made.emit(self.layer)
        return self.layer

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer:
            QTimer.singleShot(0, self._restore)

    def _restore(self) -> None:
        """Show the boxes again: without the layer the keys of the canvas would be dead."""
        gone = self.layer is not None and self.layer not in self._viewer.layers
        if gone and self._session.current is not None and not self._session.project.is_closed:
            self.ensure_layer()
            self._on_current()

    @property
    def pixels_on_screen(self) -> float:
        """Image pixels that one pixel of the screen covers."""
        zoom = float(self._viewer.scene.camera.zoom)
        return 1.0 / zoom if zoom > 0 else 1.0

    def _on_zoom(self, _event: Any) -> None:
        self._later.start()

    def _place_text(self) -> None:
        """Put the words into the boxes, above them they would lie on others; at the right.

        Published letters are at the left.
        """
        if self.layer is not None and self.layer in self._viewer.layers:
            self.layer.text.translation = TEXT_ON_SCREEN * self.pixels_on_screen
            with self._ours():
                self._write_words(self._ids)  # other pixels are under them now

    def _write_words(self, fresh: Iterable[int]) -> None:
        """Put the words in step with the store; choose the colours of the fresh ones."""
        store = self._store
        boxes = {key: store[key] for key in self._ids if store is not None and key in store}
        if self.layer.text.visible:
            self._colors.update(
                {key: self._word_color(boxes[key]) for key in fresh if key in boxes}
            )
        self._colors = {key: self._colors.get(key, _NO_COLOR) for key in boxes}
        words = [_text(boxes[key]) if key in boxes else "" for key in self._ids]
        colors = [self._colors.get(key, _NO_COLOR) for key in self._ids]
        self.layer.features = {
            "panel": np.array(words, dtype=str),
            "color": np.array(colors, dtype=str),
        }

    def _word_color(self, box: Box) -> str:
        """Return the colour for the words of a box, by the pixels under them."""
        image = self._session.image
        words = _text(box)
        if image is None or not words:
            return _NO_COLOR
        height, width = LETTER_ON_SCREEN * (1, len(words)) * self.pixels_on_screen
        down, left = TEXT_ON_SCREEN * self.pixels_on_screen
        x1, y1 = box.x1 + left, box.y0 + down
        area = np.array([[y1 - height, y1], [x1 - width, x1]])
        (top, bottom), (start, stop) = np.clip(area, 0, None).astype(int)
        return readable_color(image[top : bottom + 1, start : stop + 1])

    # -- store to layer --------------------------------------------------------------------------

    def _on_current(self) -> None:
        if self._store is not None:
            self._store.changed.disconnect(self._on_store)
        self._store = self._session.store
        if self._store is None and (self.layer is None or self.layer not in self._viewer.layers):
            self._ids = []
            return
        layer = self.ensure_layer()
        with self._ours():
            layer.selected_data = set()
            self._take_out(list(self._ids))
            if self._store is None:
                return
            self._store.changed.connect(self._on_store)
            layer.current_edge_width = self._edge_width()
            self._put_in(self._session.shown_keys())
        self._viewer.layers.selection.active = layer
        if layer.mode not in _MODES or layer.mode == "pan_zoom":
            layer.mode = "select"

    def _on_store(self, edit: Edit[Box]) -> None:
        """Redraw what an edit touched, unless the layer shows it so already."""
        gone = [key for key in edit.before if key in self._ids]
        fresh = [key for key, box in edit.after.items() if self._session.is_shown(box)]
        if self._is_ours:
            self._crooked.update(fresh)
            return
        self._redraw(gone, fresh)

    def _on_threshold(self, _threshold: float) -> None:
        shown = self._session.shown_keys()
        gone = [key for key in self._ids if key not in set(shown)]
        known = set(self._ids)
        self._redraw(gone, [key for key in shown if key not in known])

    def _redraw(self, gone: Iterable[int], fresh: Iterable[int]) -> None:
        if self.layer is None or self.layer not in self._viewer.layers:
            return
        with self._ours():
            self._take_out(gone)
            self._put_in(fresh)
            self._show_selection()

    def _take_out(self, keys: Iterable[int]) -> None:
        wanted = set(keys)
        indices = [index for index, key in enumerate(self._ids) if key in wanted]
        if indices:
            self.layer.remove(indices)
            self._ids = [key for key in self._ids if key not in wanted]

    def _wipe(self) -> None:
        """Take out all shapes while no figure is in front: they would stay over the next one."""
        if self._store is None and self.layer is not None and self.layer in self._viewer.layers:
            with self._ours():
                self.layer.remove(list(range(len(self.layer.data))))
                self._ids = []

    def _put_in(self, keys: Iterable[int]) -> None:
        store = self._store
        chosen = [key for key in keys if store is not None and key in store]
        if store is None or not chosen:
            return
        boxes = [store[key] for key in chosen]
        self.layer.text.visible = len(self._ids) + len(chosen) <= MOST_WITH_TEXT
        self.layer.feature_defaults = {"panel": "", "color": _NO_COLOR}
        self.layer.add_rectangles(
            [box_to_vertices(box) for box in boxes],
            edge_color=[_COLORS[_kind(box)] for box in boxes],
            face_color=[_COLORS[_kind(box)] + "12" for box in boxes],
            edge_width=[self._edge_width()] * len(boxes),
            # Small boxes lie on top of large ones, so that both can be picked.
            z_index=[1 + int(1e6 / (1.0 + box.area**0.5)) for box in boxes],
        )
        self._ids += chosen
        self._write_words(chosen)
        self.layer.feature_defaults = {"panel": "", "color": _NO_COLOR}

    def _edge_width(self) -> float:
        if self._store is None:
            return 1.0
        return max(1.0, round(max(self._store.width, self._store.height) / 400, 1))

    def raise_box(self, key: int) -> None:
        """Put a box on top, so that the mouse reaches it."""
        if key in self._ids:
            with self._ours():
                self.layer.selected_data = {self._ids.index(key)}
                self.layer.move_to_front()

    # -- layer to store --------------------------------------------------------------------------

    def _on_layer_data(self, event: Any) -> None:
        """Take over what a person did in the layer (or a script did to it)."""
        if self._is_ours:
            return
        if self._store is None:
            QTimer.singleShot(0, self._wipe)  # drawn where there is no figure
            return
        action = str(getattr(event.action, "value", event.action))
        if action not in ("added", "removed", "changed"):
            return  # announced only: the gesture is still going on
        with self._ours():
            if action == "added":
                self._take_drawn()
            elif action == "removed":
                self._take_removed(event.data_indices)
            else:
                self._take_changed(event.data_indices)
        # The gesture that sent this event is not over: napari still holds on to indices.
        QTimer.singleShot(0, self._straighten)

    def _take_drawn(self) -> None:
        assert self._store is not None
        for vertices in self.layer.data[len(self._ids) :]:
            box = vertices_to_box(vertices)
            least = max(SMALLEST_DRAWN, SMALLEST_ON_SCREEN * self.pixels_on_screen)
            tiny = min(box.width, box.height) < least
            if tiny or not self._is_in_image(box):
                self._ids.append(-1)  # a slip of the mouse: drawn, but not in the store
                continue
            drawn = self._session.adjust(box, None, SNAP_ON_SCREEN * self.pixels_on_screen)
            (key,) = self._store.add(drawn, name="draw")
            self._ids.append(key)
            self._session.selection.replace([key], self)

    def _is_in_image(self, box: Box) -> bool:
        store = self._store
        return (
            store is not None
            and box.x1 > 0 < box.y1
            and box.x0 < store.width
            and box.y0 < store.height
        )

    def _take_removed(self, indices: Iterable[int]) -> None:
        assert self._store is not None
        positions = set(indices)
        gone = [key for i, key in enumerate(self._ids) if i in positions and key in self._store]
        self._ids = [key for i, key in enumerate(self._ids) if i not in positions]
        self._store.remove(gone)

    def _take_changed(self, indices: Iterable[int]) -> None:
        assert self._store is not None
        data = self.layer.data
        if len(data) != len(self._ids):
            self._take_all(data)
            return
        values = {}
        for index in indices:
            key = self._ids[index]
            former = self._store[key]
            box = vertices_to_box(data[index])
            self._crooked.add(key)
            if not _is_upright(data[index]):
                continue  # the handle that rotates: drawn back as it was
            values[key] = self._session.adjust(box, former, SNAP_ON_SCREEN * self.pixels_on_screen)
        is_move = all(
            box.width == self._store[key].width and box.height == self._store[key].height
            for key, box in values.items()
        )
        self._store.update(dict(values), "move" if is_move else "resize")

    def _take_all(self, data: list[np.ndarray]) -> None:
        """Somebody assigned all shapes: these are the boxes now."""
        assert self._store is not None
        with self._store.edit("replace all"):
            self._store.remove([key for key in self._ids if key in self._store])
            self._ids = list(self._store.add(*(vertices_to_box(shape) for shape in data)))
        self._crooked.update(self._ids)

    def _straighten(self) -> None:
        """Redraw boxes that the store holds otherwise than they were drawn."""
        crooked, self._crooked = self._crooked, set()
        if self.layer is None or self.layer not in self._viewer.layers or self._store is None:
            return
        self._redraw([*crooked, -1], [k for k in crooked if k in self._store])

    # -- selection and mode ----------------------------------------------------------------------

    def _on_layer_selection(self, *_: Any) -> None:
        if not self._is_ours and self._store is not None:
            chosen = [self._ids[i] for i in self.layer.selected_data if i < len(self._ids)]
            self._session.selection.replace([key for key in chosen if key in self._store], self)

    def _on_selection(self, _items: frozenset[Any], source: object) -> None:
        if source is not self and self.layer is not None and self.layer in self._viewer.layers:
            with self._ours():
                self._show_selection()

    def _show_selection(self) -> None:
        wanted = {i for i, key in enumerate(self._ids) if key in self._session.selection}
        if set(self.layer.selected_data) != wanted:
            self.layer.selected_data = wanted

    def _on_mode(self, _event: Any) -> None:
        """Boxes are rectangles: the tools for other shapes and for rotation lead back."""
        if self.layer.mode not in _MODES:
            wanted = "add_rectangle" if self.layer.mode.startswith("add_") else "select"
            self._viewer.status = "Panels are upright rectangles: other tools are switched off."
            QTimer.singleShot(0, partial(self._set_mode, wanted))

    def _set_mode(self, mode: str) -> None:
        self.layer.mode = mode

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """Mark changes of the layer as our own, so that they do not come back as edits."""
        before, self._is_ours = self._is_ours, True
        try:
            yield
        finally:
            self._is_ours = before
