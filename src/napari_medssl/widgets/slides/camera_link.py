"""Two cameras that move together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Relation:
    """How a camera follows another: its centre is shifted by (y, x), its zoom has a ratio."""

    dy: float = 0.0
    dx: float = 0.0
    ratio: float = 1.0


class CameraLink:
    """Keeps two cameras in a relation while it is on; both lead.

    Parameters
    ----------
    first, second
        Viewer models.
    """

    def __init__(self, first: Any, second: Any) -> None:
        self._viewers = (first, second)
        self.relation = Relation()
        self.is_on = False
        self._is_following = False
        for viewer, follow in zip(self._viewers, (self._on_first, self._on_second), strict=True):
            for event in _events(viewer):
                event.connect(follow)

    def switch_on(self) -> None:
        """Keep the cameras from now on as they are to each other now."""
        (y1, x1, zoom1), (y2, x2, zoom2) = map(camera_of, self._viewers)
        self.relation = Relation(y2 - y1, x2 - x1, zoom2 / max(zoom1, 1e-12))
        self.is_on = True

    def switch_off(self) -> None:
        """Let each camera move alone."""
        self.is_on = False

    def close(self) -> None:
        """Listen to the cameras no more."""
        self.is_on = False
        for viewer, follow in zip(self._viewers, (self._on_first, self._on_second), strict=True):
            for event in _events(viewer):
                event.disconnect(follow)

    def _on_first(self, _event: Any = None) -> None:
        y, x, zoom = camera_of(self._viewers[0])
        held = self.relation
        self._follow(self._viewers[1], y + held.dy, x + held.dx, zoom * held.ratio)

    def _on_second(self, _event: Any = None) -> None:
        y, x, zoom = camera_of(self._viewers[1])
        held = self.relation
        self._follow(self._viewers[0], y - held.dy, x - held.dx, zoom / held.ratio)

    def _follow(self, viewer: Any, y: float, x: float, zoom: float) -> None:
        if not self.is_on or self._is_following:
            return
        self._is_following = True
        try:
            camera = viewer.scene.camera
            camera.center = (0.0, y, x)
            camera.zoom = zoom
        finally:
            self._is_following = False


def _events(viewer: Any) -> tuple[Any, Any]:
    events = viewer.scene.camera.events
    return events.center, events.zoom


def camera_of(viewer: Any) -> tuple[float, float, float]:
    """Return centre y and x and the zoom of a viewer's camera."""
    camera = viewer.scene.camera
    return float(camera.center[-2]), float(camera.center[-1]), float(camera.zoom)
