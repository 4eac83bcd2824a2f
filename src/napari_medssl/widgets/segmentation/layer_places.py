"""Where the layers of an image lie in napari's world, and in which units."""

from __future__ import annotations

import math
from typing import Any

from napari_medssl.state.mask_items import MaskImage

_MICRON, _PIXEL = "micrometer", "pixel"
_PART = 0.95  # of the canvas that the image fills, as in napari


def place_of(item: MaskImage, viewer: Any) -> dict[str, Any]:
    """Return scale, translation and units of the layers of an image.

    They are in microns where those are the steps of its pixels, as of a region of a slide, and
    where anything else in the viewer is in units of length: slides are, and napari warns of units
    that differ. The steps are then those of the pixels, if that is known, else a micron.
    """
    scale, shift, spacing = item.scale, item.translate, item.spacing_mm
    if not is_in_microns(item):
        if not any(_is_in_lengths(layer) for layer in viewer.layers):
            return {"scale": scale, "translate": shift, "units": (_PIXEL, _PIXEL)}
        if spacing is not None:
            scale = (1000 * spacing[1], 1000 * spacing[0])
            y, x = (new / old for new, old in zip(scale, item.scale, strict=True))
            shift = (y * shift[0], x * shift[1])
    return {"scale": scale, "translate": shift, "units": (_MICRON, _MICRON)}


def is_in_microns(item: MaskImage) -> bool:
    """Say whether the steps of the pixels of an image are microns."""
    return item.spacing_mm is not None and all(
        math.isclose(step, 1000 * side, rel_tol=1e-6)
        for step, side in zip(item.scale, item.spacing_mm[::-1], strict=True)
    )


def _is_in_lengths(layer: Any) -> bool:
    return any("[length]" in unit.dimensionality for unit in layer.units[-2:])


def put_at(layer: Any, place: dict[str, Any]) -> None:
    """Put a layer that is there already at a place of `place_of`."""
    now = {
        "scale": tuple(layer.scale),
        "translate": tuple(layer.translate),
        "units": tuple(str(unit) for unit in layer.units),
    }
    for name, value in place.items():
        if now[name] != value:
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
