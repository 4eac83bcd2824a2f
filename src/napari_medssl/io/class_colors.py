"""Colours of classes: the same number has the same colour in every image, window and file."""

from __future__ import annotations

from napari_medssl.io.color import Color

# Told apart from each other and from the red of a retina and the grey of an X-ray.
_COLORS = (
    "#00d5ff", "#ffd60a", "#e93d82", "#46d160", "#f76b15", "#b07cff", "#0091ff", "#c5ff3d",
    "#ff9db5", "#00b39b", "#c98b4d", "#ffffff", "#ff3b30", "#7a8cff", "#8fa1ad", "#d6b4fc",
)  # fmt: skip


def class_color(number: int) -> str:
    """Return the colour of a class or region, 1 or more, as "#rrggbb"."""
    return _COLORS[(number - 1) % len(_COLORS)]


def color_of(text: str) -> Color:
    """Return red, green and blue of "#rrggbb"."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue
