"""Pick with the mouse what to search for: click a tile of the slide in front, or draw a box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from qtpy.QtCore import QObject, Signal

from napari_medssl.state.search_examples import Area
from napari_medssl.widgets.similar.slide_places import ShownSlide, SlidePlaces

Mode = Literal["", "tile", "box"]
Role = Literal["new", "wanted", "unwanted"]
_SMALLEST_ON_SCREEN = 5.0  # a slip of the mouse draws something smaller


class PickTool(QObject):
    """Takes part in the mouse events of the viewer while a mode is on.

    A drag pans as ever in the mode "tile"; in the mode "box" it draws.

    Signals
    -------
    picked
        A `ShownSlide`, an `Area` on it (of no size for a click) and a `Role`.
    drawing
        The `ShownSlide` and the `Area` that is being drawn.
    mode_changed
        Another mode is on.
    refused
        Why a click was not taken.
    """

    picked = Signal(object, object, str)
    drawing = Signal(object, object)
    mode_changed = Signal()
    refused = Signal(str)

    def __init__(self, viewer: Any, places: SlidePlaces, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._places = places
        self.mode: Mode = ""
        viewer.mouse_drag_callbacks.append(self._on_drag)
        viewer.layers.selection.events.active.connect(self._on_active)

    def close(self) -> None:
        """Take no more part in the events."""
        self.set_mode("")
        if self._on_drag in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_drag)
        self._viewer.layers.selection.events.active.disconnect(self._on_active)

    def set_mode(self, mode: Mode) -> None:
        """Switch a mode on, "" for none."""
        if mode == self.mode:
            return
        self.mode = mode
        if mode:
            self._let_no_other_draw()
        self._set_panning()
        self.mode_changed.emit()

    def toggle(self, mode: Mode) -> None:
        """Switch a mode on, or off if it is on."""
        self.set_mode("" if self.mode == mode else mode)

    def _let_no_other_draw(self) -> None:
        """Select the slide: a layer of shapes or labels would draw with the same mouse."""
        front = self._places.front
        if front is not None:
            self._viewer.layers.selection.active = front.layer

    def _set_panning(self) -> None:
        active = self._viewer.layers.selection.active
        usual = True if active is None else bool(active.mouse_pan)
        self._viewer.scene.camera.mouse_pan = usual and self.mode != "box"

    def _on_active(self, _event: Any = None) -> None:
        if self.mode:
            self._set_panning()

    def _on_drag(self, _viewer: Any, event: Any) -> Iterator[None]:
        if not self.mode or event.button != 1:
            return
        cover, front = self._places.cover_at(event.position), self._places.front
        if cover:
            self.refused.emit(
                f"{cover!r} is a plain image, not a slide: tiles are picked on slides. Hide it to "
                'pick on a slide below, or search for a picture of a tile with "Picture ...".'
            )
            return
        if front is None:
            self.refused.emit("No slide is in front. Open one, then click on it.")
            return
        start, role = front.location(event.position), _role(event.modifiers)
        if self.mode == "box":
            yield from self._draw(front, start, role, event)
            return
        is_drag = False
        yield
        while event.type == "mouse_move":
            is_drag = True
            yield
        if not is_drag:
            self._pick(front, Area(front.fingerprint, *start, 0, 0), role)

    def _draw(
        self, front: ShownSlide, start: tuple[float, float], role: Role, event: Any
    ) -> Iterator[None]:
        area = Area(front.fingerprint, *start, 0, 0)
        yield
        while event.type == "mouse_move":
            area = _between(front.fingerprint, start, front.location(event.position))
            self.drawing.emit(front, area)
            yield
        pixels = _SMALLEST_ON_SCREEN / float(self._viewer.scene.camera.zoom)
        smallest = pixels / abs(float(front.layer.scale[-1]))
        is_slip = max(area.width, area.height) < smallest
        self._pick(front, Area(front.fingerprint, *start, 0, 0) if is_slip else area, role)

    def _pick(self, front: ShownSlide, area: Area, role: Role) -> None:
        if not front.holds(area.middle):
            self.refused.emit("That is beside the slide. Click on the slide itself.")
            return
        self.picked.emit(front, area, role)


def _role(modifiers: Any) -> Role:
    """Return what an example is for: Shift adds it as wanted, Ctrl as unwanted."""
    if "Shift" in modifiers:
        return "wanted"
    return "unwanted" if "Control" in modifiers else "new"


def _between(slide: str, start: tuple[float, float], end: tuple[float, float]) -> Area:
    x0, x1 = sorted((start[0], end[0]))
    y0, y1 = sorted((start[1], end[1]))
    return Area(slide, x0, y0, x1 - x0, y1 - y0)
