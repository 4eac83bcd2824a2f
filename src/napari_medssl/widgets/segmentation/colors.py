"""Colours of classes and of regions: the same number has the same colour in every image."""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QColor

# Told apart from each other and from the red of a retina and the grey of an X-ray.
_COLORS = (
    "#00d5ff", "#ffd60a", "#e93d82", "#46d160", "#f76b15", "#b07cff", "#0091ff", "#c5ff3d",
    "#ff9db5", "#00b39b", "#c98b4d", "#ffffff", "#ff3b30", "#7a8cff", "#8fa1ad", "#d6b4fc",
)  # fmt: skip
_MOST = 255


def class_color(number: int) -> str:
    """Return the colour of a class or region, 1 or more."""
    return _COLORS[(number - 1) % len(_COLORS)]


def label_colors(count: int = _MOST) -> Any:
    """Return a colormap of napari for numbers up to `count`; 0 is clear."""
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colors |= {number: class_color(number) for number in range(1, count + 1)}
    return DirectLabelColormap(color_dict=colors)


def chip(number: int) -> QColor:
    """Return the colour of a class for a cell of a table."""
    return QColor(class_color(number))
