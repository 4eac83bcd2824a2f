"""Read tiles at any resolution from the level that suits, each pixel from its true place.

A pixel is a square; coordinates run over its area, so that pixel 0 of a level reaches from 0 to 1
and pixel i of a tile from `x + i * step` to `x + (i + 1) * step`, where `step` is the number of
level pixels of a tile's pixel. A tile is filtered with a triangle as wide as two of its own pixels
(two of the level's if those are larger), centred on its pixels: linear interpolation at the same
size, an antialiased reduction below it. White surrounds the slide, as everywhere.

Pillow filters in two passes that each round to 8 bits: a value is within one grey level of the
exact one. Tiles that fall on whole pixels of a level are copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.slides.protocol import Pixels, Slide

Tiles = NDArray[np.uint8]
"""RGB tiles, shape (N, S, S, 3)."""

MAX_PIXELS = 4096
"""Longest side of a tile in its own pixels."""

_SNAP = 1 / 32  # of a level pixel: less than a tile's place is known to
_BAND = 2**22  # pixels of one read where a tile spans many


@dataclass(frozen=True, slots=True)
class Window:
    """Where a tile lies in a level: its corner and the step between its pixels, in level pixels."""

    x: float
    y: float
    step: float


class TileSampler:
    """Reads square tiles of one size.

    Parameters
    ----------
    slide
        The slide.
    size
        Side of a tile in level-0 pixels.
    pixels
        Side of a tile in its own pixels, S.

    Raises
    ------
    UserError
        If a size makes no sense.
    """

    def __init__(self, slide: Slide, size: int, pixels: int) -> None:
        if not 1 <= pixels <= MAX_PIXELS:
            raise UserError(f"Tiles of {pixels} pixels are asked for; due is 1 to {MAX_PIXELS}.")
        if not 1 <= size <= max(slide.dimensions) * 2:
            raise UserError(
                f"Tiles of {size} level-0 pixels are asked for, but the slide is "
                f"{slide.dimensions[0]} x {slide.dimensions[1]}: choose a smaller mpp or size."
            )
        self.size, self.pixels = size, pixels
        self._slide = slide
        self.level = best_level(slide.level_downsamples, size / pixels)
        self._downsample = slide.level_downsamples[self.level]
        self._step = size / self._downsample / pixels

    @property
    def window_pixels(self) -> int:
        """Side of what is read for a tile, in pixels of the level."""
        return math.ceil(self._step * self.pixels) + 1 + 2 * self._margin

    def window(self, location: tuple[int, int]) -> Window:
        """Return where the tile at `location` (x, y at level 0) lies in the level."""
        x, y = (value / self._downsample for value in location)
        return Window(x, y, self._step)

    def read(self, locations: Sequence[tuple[int, int]]) -> Tiles:
        """Return the tiles at `locations`, shape (N, S, S, 3).

        Tiles near each other are read together: what lies under several is decoded once.

        Raises
        ------
        SlideReadError
            If the file is damaged under one of them.
        """
        windows = [self.window(location) for location in locations]
        if all(self._is_whole(window) for window in windows):
            corners = [(round(window.x), round(window.y)) for window in windows]
            return self._slide.read_many(self.level, corners, (self.pixels, self.pixels))
        result = np.empty((len(windows), self.pixels, self.pixels, 3), np.uint8)
        if self.window_pixels**2 > _BAND:
            for row, window in zip(result, windows, strict=True):
                self._read_in_bands(window, row)
            return result
        corners = [self._corner(window) for window in windows]
        side = self.window_pixels
        read = self._slide.read_many(self.level, corners, (side, side))
        for row, window, corner, source in zip(result, windows, corners, read, strict=True):
            row[:] = _resample(source, window, corner, (self.pixels, self.pixels))
        return result

    @property
    def _margin(self) -> int:
        return math.ceil(max(self._step, 1.0))

    def _corner(self, window: Window) -> tuple[int, int]:
        return math.floor(window.x) - self._margin, math.floor(window.y) - self._margin

    def _is_whole(self, window: Window) -> bool:
        drift = abs(self._step - 1) * self.pixels
        return drift < _SNAP and all(abs(v - round(v)) < _SNAP for v in (window.x, window.y))

    def _read_in_bands(self, window: Window, result: Pixels) -> None:
        """Fill `result`, shape (S, S, 3), some of its rows at a time: the source is too large."""
        side = self.window_pixels
        rows = max(1, int((_BAND / side - 2 * self._margin - 1) / self._step))
        for top in range(0, self.pixels, rows):
            count = min(rows, self.pixels - top)
            band = Window(window.x, window.y + top * self._step, self._step)
            corner = self._corner(band)
            height = math.ceil(self._step * count) + 1 + 2 * self._margin
            source = self._slide.read_pixels(self.level, corner, (side, height))
            result[top : top + count] = _resample(source, band, corner, (self.pixels, count))


def best_level(downsamples: Sequence[float], wanted: float) -> int:
    """Return the smallest level that is at least as fine as `wanted` level-0 pixels a pixel."""
    fine = [level for level, value in enumerate(downsamples) if value <= wanted * 1.001]
    return max(fine, default=0)


def _resample(
    source: Pixels, window: Window, corner: tuple[int, int], size: tuple[int, int]
) -> Pixels:
    """Return the pixels of a window, shape (height, width, 3), from what was read at `corner`."""
    from PIL import Image

    left, top = window.x - corner[0], window.y - corner[1]
    box = (left, top, left + size[0] * window.step, top + size[1] * window.step)
    image = Image.fromarray(source).resize(size, Image.Resampling.BILINEAR, box=box)
    return np.asarray(image)
