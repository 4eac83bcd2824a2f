"""Colours of classes and of regions: the same number has the same colour in every image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Told apart from each other and from the red of a retina and the grey of an X-ray.
_COLORS = (
    "#00d5ff", "#ffd60a", "#e93d82", "#46d160", "#f76b15", "#b07cff", "#0091ff", "#c5ff3d",
    "#ff9db5", "#00b39b", "#c98b4d", "#ffffff", "#ff3b30", "#7a8cff", "#8fa1ad", "#d6b4fc",
)  # fmt: skip
_MOST = 255


def class_color(number: int) -> str:
    """Return the colour of a class or region, 1 or more."""
    return _COLORS[(number - 1) % len(_COLORS)]


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
