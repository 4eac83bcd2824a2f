"""Colours of what a person makes: regions' classes, landmarks, groups of rows."""

from __future__ import annotations

from collections.abc import Iterable

from napari_medssl.io.color import Color

_PALETTE: tuple[Color, ...] = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167),
    (86, 180, 233), (213, 94, 0), (240, 228, 66), (128, 128, 128),
)  # fmt: skip
_SHADES = (0.0, 0.45, -0.4, 0.7, -0.65)


def next_color(taken: Iterable[Color]) -> Color:
    """Return a colour for a new item: one that none has (Okabe and Ito's), else the rarest."""
    counts = dict.fromkeys(_PALETTE, 0)
    for color in taken:
        if color in counts:
            counts[color] += 1
    return min(counts, key=lambda color: counts[color])


def group_colors(taken: Iterable[Color], count: int) -> list[Color]:
    """Return colours for so many new groups, on a map where rows in none are grey.

    The palette's but grey, then lighter and darker ones of them, 35 in all; then the rarest.
    """
    counts = {_shaded(color, share): 0 for share in _SHADES for color in _PALETTE[:-1]}
    for color in taken:
        if color in counts:
            counts[color] += 1
    found = []
    for _ in range(count):
        found.append(min(counts, key=lambda color: counts[color]))
        counts[found[-1]] += 1
    return found


def _shaded(color: Color, share: float) -> Color:
    """Return a colour mixed with white, or for a share below 0 with black."""
    end = 255 if share > 0 else 0
    red, green, blue = (round(value + abs(share) * (end - value)) for value in color)
    return red, green, blue


def check_color(color: Color) -> Color:
    """Return a colour as a tuple; ValueError if it is not three whole numbers of 0 to 255."""
    red, green, blue = (int(value) for value in color)
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"colour is {color!r}, must be three numbers of 0 to 255")
    return red, green, blue
