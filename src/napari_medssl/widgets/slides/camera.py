"""Between the camera of a viewer and pixels of level 0 of the slide it shows.

A pixel's centre has whole coordinates in napari; locations count from the corner of the first
pixel, as in OpenSlide and QuPath: location 0.5 is coordinate 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Viewport:
    """What a canvas shows of a slide, in pixels of level 0: its centre, width and height."""

    x: float
    y: float
    width: float
    height: float


def viewport(viewer: Any, layer: Any) -> Viewport:
    """Return what the canvas of a viewer shows of a slide layer."""
    _, y, x = viewer.scene.camera.center
    down, across = _scale(layer)
    height, width = viewer.canvas.size
    zoom = max(float(viewer.scene.camera.zoom), 1e-12)
    place = layer.world_to_data((y, x))
    return Viewport(
        float(place[-1]) + 0.5,
        float(place[-2]) + 0.5,
        width / zoom / across,
        height / zoom / down,
    )


def look_at_location(viewer: Any, layer: Any, x: float, y: float) -> None:
    """Put a location, in pixels of level 0, into the middle of the canvas."""
    world = layer.data_to_world((y - 0.5, x - 0.5))
    viewer.scene.camera.center = (0.0, float(world[-2]), float(world[-1]))


def screen_pixels(viewer: Any, layer: Any) -> float:
    """Return how many level-0 pixels lie under one pixel of the screen."""
    return 1.0 / max(float(viewer.scene.camera.zoom) * _scale(layer)[1], 1e-12)


def set_screen_pixels(viewer: Any, layer: Any, pixels: float) -> None:
    """Zoom so that as many level-0 pixels lie under one pixel of the screen."""
    viewer.scene.camera.zoom = 1.0 / (pixels * _scale(layer)[1])


def _scale(layer: Any) -> tuple[float, float]:
    return abs(float(layer.scale[-2])), abs(float(layer.scale[-1]))
