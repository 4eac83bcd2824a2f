"""Image layers that napari already shows, kept as pictures in a set of images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.files import replace_whole
from napari_medssl.io.pixels import array_to_rgb


@dataclass(frozen=True)
class TakenLayer:
    """A layer that was selected.

    Attributes
    ----------
    data, is_rgb
        Its pixels, and whether they are colours.
    name
        As in napari's list.
    spacing_mm
        Distance of pixels `(x, y)`, if the units of the layer say that.
    scale, translate
        Where it lies in napari's world, `(y, x)`.
    """

    data: Any
    is_rgb: bool
    name: str
    spacing_mm: tuple[float, float] | None
    scale: tuple[float, float]
    translate: tuple[float, float]


def chosen_image_layers(viewer: Any) -> list[Any]:
    """Return the image layers that are selected and not of ours; UserError if there are none."""
    chosen = [
        layer
        for layer in viewer.layers
        if layer in viewer.layers.selection
        and hasattr(layer, "rgb")
        and "medssl" not in layer.metadata
    ]
    if not chosen:
        raise UserError("No image layers are selected. Click them in napari's layer list.")
    return chosen


def volume_file(layer: Any, suffixes: tuple[str, ...]) -> Path | None:
    """Return the file that the slices of a layer are in, if its name ends so; None for no volume.

    Parameters
    ----------
    suffixes
        Of files whose slices can be opened, in lower case.
    """
    path = layer.source.path
    is_volume = layer.data.ndim == (4 if layer.rgb else 3)
    if layer.multiscale or not is_volume or not path or not path.lower().endswith(suffixes):
        return None
    return Path(path)


def take_layer(layer: Any) -> TakenLayer:
    """Return what a layer holds; UserError if it is no plain image."""
    if layer.multiscale or layer.data.ndim != (3 if layer.rgb else 2):
        raise UserError(
            f"Layer {layer.name!r} is no plain 2-D image: its shape is {layer.data.shape}. Write "
            "the slices of a volume as the pages of a TIFF file, and open that: each is an image."
        )
    return TakenLayer(
        layer.data,
        bool(layer.rgb),
        str(layer.name),
        _spacing_of(layer),
        _pair(layer.scale),
        _pair(layer.translate),
    )


def _pair(values: Any) -> tuple[float, float]:
    return float(values[-2]), float(values[-1])


def save_layers(layers: Iterable[TakenLayer], folder: Path) -> list[tuple[TakenLayer, Path]]:
    """Write layers as pictures into a folder; UserError if one holds what is no number. Blocks."""
    saved = []
    for layer in layers:
        pixels = np.asarray(layer.data)
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise UserError(
                f"Layer {layer.name!r} has pixels that are not a number (NaN) or infinite. Replace "
                "them by the value of the background."
            )
        saved.append((layer, save_layer(pixels, layer.is_rgb, layer.name, folder)))
    return saved


def save_layer(data: Any, is_rgb: bool, name: str, folder: Path) -> Path:
    """Write a layer without a file as PNG into a project or set, where it is safe."""
    pixels = array_to_rgb(np.asarray(data), alpha=is_rgb and data.shape[-1] == 4)
    folder.mkdir(exist_ok=True)
    stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in name).strip() or "layer"
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem} {number}.png"
    with replace_whole(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
    return path


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
