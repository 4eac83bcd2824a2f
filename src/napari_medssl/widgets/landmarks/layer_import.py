"""Image layers that napari already shows, taken into a set of landmarks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.state.landmark_items import LandmarkImage
from napari_medssl.widgets.separation.layer_import import save_layer


@dataclass(frozen=True)
class TakenLayer:
    """A layer that was selected: its pixels, and size of a pixel in mm, if its units say that."""

    data: Any
    is_rgb: bool
    name: str
    spacing_mm: tuple[float, float] | None


def take_layer(layer: Any) -> TakenLayer:
    """Return what a layer holds; UserError if it is no plain image."""
    if layer.multiscale or layer.data.ndim != (3 if layer.rgb else 2):
        raise UserError(
            f"Layer {layer.name!r} is no plain 2-D image: its shape is {layer.data.shape}. Of a "
            "volume, open one slice."
        )
    return TakenLayer(layer.data, bool(layer.rgb), str(layer.name), _spacing_of(layer))


def save_layers(layers: Iterable[TakenLayer], folder: Path) -> list[LandmarkImage]:
    """Write layers as pictures into a folder; UserError if one holds what is no number. Blocks."""
    images = []
    for layer in layers:
        pixels = np.asarray(layer.data)
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise UserError(
                f"Layer {layer.name!r} has pixels that are not a number (NaN) or infinite. Replace "
                "them by the value of the background."
            )
        path = save_layer(pixels, layer.is_rgb, layer.name, folder)
        images.append(LandmarkImage(layer.name, str(path), spacing_mm=layer.spacing_mm))
    return images


def _spacing_of(layer: Any) -> tuple[float, float] | None:
    """Return the size of a pixel `(x, y)` in mm where the layer says its units."""
    try:
        down, across = (
            abs(float((scale * unit).to("mm").magnitude))
            for scale, unit in zip(layer.scale[-2:], layer.units[-2:], strict=True)
        )
    except Exception:  # pint raises what it likes where a unit is no length
        return None
    return across, down
