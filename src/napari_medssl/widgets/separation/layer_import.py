"""An image layer that napari already shows, taken as a figure."""

from __future__ import annotations

from typing import Any

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
