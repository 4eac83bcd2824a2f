"""Read a rectangle of a slide as a picture of any size, filtered as `io.tile_sampling` does.

Coordinates run over areas: level-0 pixel 0 reaches from 0 to 1. White surrounds the slide.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.slides.protocol import Pixels, Slide
from napari_medssl.io.tile_sampling import best_level

MAX_SIDE = 8192
"""Longest side of a picture in its own pixels."""

Box = tuple[float, float, float, float]
_BAND = 2**22  # pixels of one read


def read_rectangle(
    slide: Slide,
    box: Box,
    size: tuple[int, int],
    *,
    on_rows: Callable[[int, int], object] = lambda done, total: None,
) -> Pixels:
    """Return the pixels of a rectangle, uint8 RGB, shape (height, width, 3).

    Parameters
    ----------
    slide
        The slide.
    box
        `(x0, y0, x1, y1)` in level-0 pixels; may reach beyond the slide.
    size
        `(width, height)` of the picture in its own pixels.
    on_rows
        Called after each read with the rows that are done and all; what it raises ends the reading.

    Raises
    ------
    UserError
        If the picture would be empty or too large.
    SlideReadError
        If the file is damaged there.
    """
    from PIL import Image

    width, height = size
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise UserError(
            f"A picture of {width} x {height} pixels is asked for; due is 1 to {MAX_SIDE} a side. "
            "Take a smaller part of the slide or larger pixels."
        )
    x0, y0, x1, y1 = box
    step_x, step_y = (x1 - x0) / width, (y1 - y0) / height
    level = best_level(slide.level_downsamples, min(step_x, step_y))
    scale = slide.level_downsamples[level]
    left, top, step_x, step_y = x0 / scale, y0 / scale, step_x / scale, step_y / scale
    around = math.ceil(max(step_x, step_y, 1.0))  # what the filter reaches beyond
    wide = math.ceil(step_x * width) + 1 + 2 * around
    rows = max(1, int((_BAND / wide - 2 * around - 1) / step_y))
    result = np.empty((height, width, 3), np.uint8)
    for first in range(0, height, rows):
        count = min(rows, height - first)
        start = top + first * step_y
        corner = math.floor(left) - around, math.floor(start) - around
        source = slide.read_pixels(
            level, corner, (wide, math.ceil(step_y * count) + 1 + 2 * around)
        )
        x, y = left - corner[0], start - corner[1]
        part = (x, y, x + width * step_x, y + count * step_y)
        picture = Image.fromarray(source)
        result[first : first + count] = np.asarray(
            picture.resize((width, count), Image.Resampling.BILINEAR, box=part)
        )
        on_rows(first + count, height)
    return result
