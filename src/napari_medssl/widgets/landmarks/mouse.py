"""The mouse on the images: a click places, a drag corrects, the mouse with Shift held looks for.

It acts while one of our layers is selected and napari's tools are on panning; a drag that does not
begin at a point pans as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_medssl._errors import UserError
from napari_medssl.state.landmarks import PointId
from napari_medssl.widgets.landmarks.image_layers import ImageLayers
from napari_medssl.widgets.landmarks.mosaic import Place
from napari_medssl.widgets.landmarks.point_layer import PointLayers
from napari_medssl.widgets.landmarks.session import LandmarkSession

_JITTER_PX = 4.0
"""What a hand moves the mouse in a click, in pixels of the screen: less is no drag."""


class MouseTool(QObject):
    """Takes part in the mouse events of the viewer.

    Parameters
    ----------
    viewer, session, images, points
        What it works on.
    is_ours
        Says whether the mouse is ours now.
    parent
        Qt parent.

    Signals
    -------
    refused
        Why a click was not taken; empty where one was.
    hovered
        A place `(x, y)` of the template under the mouse with Shift held; None when that ends.
    """

    refused = Signal(str)
    hovered = Signal(object)

    def __init__(
        self,
        viewer: Any,
        session: LandmarkSession,
        images: ImageLayers,
        points: PointLayers,
        is_ours: Callable[[], bool],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._images = images
        self._points = points
        self._is_ours = is_ours
        self._is_hovering = False
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.mouse_move_callbacks.append(self._on_move)

    def close(self) -> None:
        """Take no more part."""
        for callbacks, ours in (
            (self._viewer.mouse_drag_callbacks, self._on_press),
            (self._viewer.mouse_move_callbacks, self._on_move),
        ):
            if ours in callbacks:
                callbacks.remove(ours)

    def _on_press(self, _viewer: Any, event: Any) -> Iterator[None]:
        if event.button != 1 or not self._is_ours():
            return
        pair = None if "Shift" in event.modifiers else self._points.point_at(event.position)
        if pair is not None:
            yield from self._drag(pair, event)
            return
        start, pressed, is_moved = event.position, event.pos, "Shift" in event.modifiers
        image = self._images.mosaic.image_at(start)
        is_drag = False
        yield
        while event.type == "mouse_move":
            is_drag = is_drag or _is_drag(pressed, event.pos)
            yield
        if not is_drag and image is not None:
            place = self._images.mosaic.spots[image].to_place(start)
            self._do(lambda: self._session.place(image, *place, is_moved=is_moved))

    def _drag(self, pair: PointId, event: Any) -> Iterator[None]:
        """Move a point with the mouse; a mere click chooses it."""
        camera = self._viewer.scene.camera
        could_pan, camera.mouse_pan = bool(camera.mouse_pan), False
        spot = self._images.mosaic.spots[pair[0]]
        pressed, start = event.pos, spot.to_place(event.position)
        former = self._session.store.point(*pair).place or start
        # A point is taken beside its middle, too, and must not jump there.
        off = former[0] - start[0], former[1] - start[1]
        self._session.choose(*pair)
        place: Place | None = None
        try:
            yield
            while event.type == "mouse_move":
                if place is not None or _is_drag(pressed, event.pos):
                    x, y = spot.to_place(event.position)
                    place = x + off[0], y + off[1]
                    self._points.drag(pair, place)
                yield
        finally:
            camera.mouse_pan = could_pan
            self._points.drag(pair, None)
        if place is not None:
            x, y = place
            self._do(lambda: self._session.store.place(*pair, x, y))

    def _do(self, act: Callable[[], None]) -> None:
        try:
            act()
        except UserError as error:
            self.refused.emit(str(error))
        else:
            self.refused.emit("")

    def _on_move(self, _viewer: Any, event: Any) -> None:
        is_asked = "Shift" in event.modifiers and not event.is_dragging and self._is_ours()
        mosaic = self._images.mosaic
        if (
            is_asked
            and mosaic.front is not None
            and mosaic.image_at(event.position) == mosaic.front
        ):
            self._is_hovering = True
            self.hovered.emit(mosaic.spots[mosaic.front].to_place(event.position))
        elif self._is_hovering:
            self._is_hovering = False
            self.hovered.emit(None)


def _is_drag(pressed: Any, now: Any) -> bool:
    """Say whether the mouse went from one pixel of the screen to another on purpose."""
    return bool(np.hypot(*np.subtract(now, pressed)) > _JITTER_PX)
