"""Where the layers of an image lie in napari's world, and in which units."""

from __future__ import annotations

import math
from typing import Any

from napari_medssl.state.mask_items import MaskImage

_MICRON, _PIXEL = "micrometer", "pixel"
_PART = 0.95  # of the canvas that the image fills, as in napari


def place_of(item: MaskImage) -> dict[str, Any]:
    """Return scale, translation and units of the layers of an image.

    They are in microns where those are the steps of its pixels, as of a region of a slide: slides
    are, and napari warns of units that differ.
    """
    spacing = item.spacing_mm
    is_in_microns = spacing is not None and all(
        math.isclose(step, 1000 * side, rel_tol=1e-6)
        for step, side in zip(item.scale, spacing[::-1], strict=True)
    )
    unit = _MICRON if is_in_microns else _PIXEL
    return {"scale": item.scale, "translate": item.translate, "units": (unit, unit)}


def put_at(layer: Any, place: dict[str, Any]) -> None:
    """Put a layer that is there already at a place of `place_of`."""
    for name, value in place.items():
        setattr(layer, name, value)


def fit_view(viewer: Any, layer: Any) -> None:
    """Let a 2-D layer fill the canvas; napari's own way fails where another layer has more axes."""
    if viewer.dims.ndim == layer.ndim:
        viewer.reset_view(layers=[layer])
        return
    low, high = layer.extent.world
    room = viewer.canvas.viewbox_size(viewer.layers)
    sides = zip(room, high - low + layer.scale, strict=True)
    viewer.scene.camera.center = (0.0, *((low + high) / 2))
    viewer.scene.camera.zoom = _PART * min(length / side for length, side in sides)
