"""Colours of classes and of regions: the same number has the same colour in every image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_medssl.io.class_colors import class_color

__all__ = ["class_color", "label_colors"]

_MOST = 255


def label_colors(count: int = _MOST, own: Mapping[int, str] | None = None) -> Any:
    """Return a colormap of napari for numbers up to `count`; 0 is clear.

    Parameters
    ----------
    count
        The largest number.
    own
        Colours of numbers that have not that of `class_color`.
    """
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colors |= {number: class_color(number) for number in range(1, count + 1)}
    for number, color in (own or {}).items():
        colors[number] = color
    return DirectLabelColormap(color_dict=colors)
