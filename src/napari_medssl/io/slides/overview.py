"""A small picture of a whole slide."""

from __future__ import annotations

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.slides.protocol import Pixels, Slide

_BAND_PIXELS = 2**24


def read_overview(slide: Slide, longest: int = 1024) -> Pixels:
    """Return the whole slide with `longest` pixels on its longer side, shape (Y, X, 3).

    The mean of the pixels under each pixel, from the level that is next in size above. A slide that
    is smaller is not enlarged. Needs little memory, whatever the levels.

    Raises
    ------
    UserError
        If the slide is damaged, or `longest` is not above 0.
    """
    if longest < 1:
        raise UserError(f"An overview of {longest!r} pixels was asked for; due is 1 or more.")
    scale = min(1.0, longest / max(slide.dimensions))
    width, height = (max(1, round(side * scale)) for side in slide.dimensions)
    sides = [max(size) for size in slide.level_dimensions]
    level = max(n for n, side in enumerate(sides) if side >= max(width, height) or n == 0)
    reduced = _read_reduced(slide, level, max(1, sides[level] // max(width, height)))
    if reduced.shape[:2] == (height, width):
        return reduced
    from PIL import Image

    image = Image.fromarray(reduced)
    return np.array(image.resize((width, height), Image.Resampling.BOX))


def _read_reduced(slide: Slide, level: int, factor: int) -> Pixels:
    """Return a level as the means of squares of `factor` pixels, read in bands."""
    width, height = slide.level_dimensions[level]
    factor = min(factor, width, height)
    across = width // factor  # a last part square is left out: less than a pixel of the overview
    rows = max(1, _BAND_PIXELS // (width * factor)) * factor
    bands = []
    for top in range(0, height // factor * factor, rows):
        size = (across * factor, min(rows, height // factor * factor - top))
        band = slide.read_pixels(level, (0, top), size)
        squares = band.reshape(size[1] // factor, factor, across, factor, 3)
        total = squares.sum(axis=(1, 3), dtype=np.uint32)
        area = factor * factor
        bands.append(((total + area // 2) // area).astype(np.uint8))
    return np.concatenate(bands)
