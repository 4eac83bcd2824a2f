"""Drag the gutter between boxes with the mouse: the neighbours on both sides move.

Press in the strip between two boxes and drag. With Alt held also a gutter of no width can be
taken, near to the edge. The tool sits before napari's own in the layer's list of mouse callbacks
and switches that one off for the time of a drag.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from napari_medssl.state.gutter_edit import Gutter, drag_gutter, find_gutters, gutter_near
from napari_medssl.widgets.separation.layer_view import BoxLayer
from napari_medssl.widgets.separation.session import Session

REACH_ON_SCREEN = 6.0


class GutterTool:
    """Mouse callbacks for the layer of a `BoxLayer`."""

    def __init__(self, viewer: Any, session: Session, view: BoxLayer) -> None:
        self._viewer = viewer
        self._session = session
        self._view = view

    def attach(self, layer: Any) -> None:
        """Take part in the mouse events of a layer, before napari's tools."""
        if self._on_drag not in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.insert(0, self._on_drag)
            layer.mouse_move_callbacks.insert(0, self._on_move)

    def gutter_under(self, x: float, y: float, *, is_forced: bool = False) -> Gutter | None:
        """Return the gutter at a place in pixels; one under a box only if that is forced."""
        store, index = self._session.store, self._session.index
        if store is None or index is None:
            return None
        reach = REACH_ON_SCREEN * self._view.pixels_on_screen
        shown = {key: store[key] for key in self._session.shown_keys()}
        if not is_forced and any(key in shown for key in index.under(x, y, margin=reach / 3)):
            return None
        widest = 0.2 * max(store.width, store.height)
        return gutter_near(find_gutters(shown, widest), x, y, reach if is_forced else 0.0)

    def _place(self, layer: Any, event: Any) -> tuple[float, float]:
        y, x = layer.world_to_data(event.position)[-2:]
        return float(x) + 0.5, float(y) + 0.5

    def _on_move(self, layer: Any, event: Any) -> None:
        if layer.mode != "select" or event.is_dragging:
            return
        gutter = self.gutter_under(*self._place(layer, event), is_forced="Alt" in event.modifiers)
        wanted = "standard" if gutter is None else "crosshair"
        if layer.cursor not in (wanted, "pointing"):
            layer.cursor = wanted

    def _on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        if layer.mode != "select" or "Shift" in event.modifiers or event.button != 1:
            return
        start = self._place(layer, event)
        gutter = self.gutter_under(*start, is_forced="Alt" in event.modifiers)
        store = self._session.store
        if gutter is None or store is None or store.is_editing:
            return
        boxes = store.as_dict()
        layer.mode = "pan_zoom"
        layer.mouse_pan = False
        try:
            with store.edit("move gutter"):
                yield
                while event.type == "mouse_move":
                    x, y = self._place(layer, event)
                    shift = round(x - start[0] if gutter.axis == "x" else y - start[1])
                    store.update(dict(drag_gutter(boxes, gutter, shift)), "move gutter")
                    yield
        finally:
            layer.mode = "select"
