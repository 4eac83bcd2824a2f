"""An image layer that napari already shows, taken as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl._errors import UserError


def image_layer(viewer: Any) -> Any:
    """Return the one image layer that is selected.

    Raises
    ------
    UserError
        If it is none, several, or no plain 2-D image.
    """
    chosen = [layer for layer in viewer.layers.selection if hasattr(layer, "rgb")]
    if len(chosen) != 1:
        raise UserError(
            f"{len(chosen)} image layers are selected, due is one. Click it in napari's layer list."
        )
    layer = chosen[0]
    if layer.multiscale or layer.data.ndim != (3 if layer.rgb else 2):
        raise UserError(
            f"Layer {layer.name!r} is no plain 2-D image. Choose one, or open its file instead."
        )
    return layer


def save_layer(data: Any, is_rgb: bool, name: str, folder: Path) -> Path:
    """Write a layer without a file as PNG into the project, where it is safe."""
    from PIL import Image

    from napari_medssl.io.files import replace_whole
    from napari_medssl.io.pixels import array_to_rgb

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
