"""Find the tissue of a whole slide, and say how much of it lies under a tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.slides.protocol import Pixels, Slide, SlideReadError
from napari_medssl.io.tile_sampling import best_level
from napari_medssl.io.tissue import WORKING_MPP, Mask, tissue_mask

_BLOCK = 4096  # pixels of a level read at once, a side
_SMALLEST = 64  # what is given up where the file is damaged
_LONGEST = 2048  # of the picture looked at where the slide has no mpp


@dataclass(frozen=True, slots=True)
class SlideTissue:
    """Where a slide has tissue.

    Attributes
    ----------
    mask
        bool, shape (Y, X).
    downsample
        Level-0 pixels of a pixel of the mask.
    failures
        What could not be read and counts as glass.
    """

    mask: Mask
    downsample: float
    failures: tuple[SlideReadError, ...] = ()

    def fraction(self, locations: NDArray[np.integer], size: int) -> NDArray[np.float32]:
        """Return the part of each tile that is tissue, shape (N,), 0 to 1.

        Parameters
        ----------
        locations
            Corners `(x, y)` at level 0, shape (N, 2).
        size
            Side of the tiles in level-0 pixels. What lies outside the slide is no tissue.
        """
        sums = np.zeros(tuple(side + 1 for side in self.mask.shape))
        sums[1:, 1:] = self.mask.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
        low = np.asarray(locations, np.float64) / self.downsample
        high = low + size / self.downsample
        inside = (
            _at(sums, high[:, 1], high[:, 0])
            - _at(sums, low[:, 1], high[:, 0])
            - _at(sums, high[:, 1], low[:, 0])
            + _at(sums, low[:, 1], low[:, 0])
        )
        return np.clip(inside * (self.downsample / size) ** 2, 0, 1).astype(np.float32)


def find_tissue(
    slide: Slide, mpp: float | None, *, should_stop: Callable[[], bool] = lambda: False
) -> SlideTissue:
    """Return where `slide` has tissue.

    Parameters
    ----------
    slide
        The slide; about 8 microns per pixel of it are read.
    mpp
        Microns per level-0 pixel; None where nobody knows.
    should_stop
        Asked before each read; when it says so, the rest is left out.
    """
    wanted = max(1.0, WORKING_MPP / mpp if mpp else max(slide.dimensions) / _LONGEST)
    level = best_level(slide.level_downsamples, wanted * 1.41)
    downsample = slide.level_downsamples[level]
    factor = max(1, round(wanted / downsample))
    failures: list[SlideReadError] = []
    width, height = slide.level_dimensions[level]
    step = max(1, _BLOCK // factor) * factor
    rows = []
    for y in range(0, height, step):
        row = []
        for x in range(0, width, step):
            if should_stop():
                return SlideTissue(np.zeros((1, 1), bool), float(max(slide.dimensions)))
            size = (min(step, width - x), min(step, height - y))
            row.append(_reduced(_read(slide, level, (x, y), size, failures), factor))
        rows.append(np.concatenate(row, axis=1))
    rgb = np.concatenate(rows)
    total = downsample * factor
    return SlideTissue(tissue_mask(rgb, mpp * total if mpp else None), total, tuple(failures))


def _read(
    slide: Slide,
    level: int,
    corner: tuple[int, int],
    size: tuple[int, int],
    failures: list[SlideReadError],
) -> Pixels:
    """Read a rectangle; where it is damaged, halve it until the damage is small, and left white."""
    try:
        return slide.read_pixels(level, corner, size)
    except SlideReadError as error:
        if max(size) <= _SMALLEST:
            failures.append(error)
            return np.full((size[1], size[0], 3), 255, np.uint8)
    axis = 0 if size[0] >= size[1] else 1
    half = size[axis] // 2
    parts = []
    for start, length in ((0, half), (half, size[axis] - half)):
        place, part = list(corner), list(size)
        place[axis] += start
        part[axis] = length
        parts.append(_read(slide, level, (place[0], place[1]), (part[0], part[1]), failures))
    return np.concatenate(parts, axis=1 - axis)


def _reduced(pixels: Pixels, factor: int) -> Pixels:
    """Return the means of squares of `factor` pixels; the last ones of fewer pixels."""
    if factor == 1:
        return pixels
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % factor), (0, -width % factor), (0, 0)), mode="edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    blocks = padded.reshape(rows, factor, columns, factor, 3)
    # Rows first, in whole numbers: five times as fast as one mean over both.
    sums = blocks.sum(axis=1, dtype=np.uint32).sum(axis=2)
    return np.asarray((sums + factor**2 // 2) // factor**2, np.uint8)


def _at(
    sums: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the integral image between its points: exact, as the mask is even in a pixel."""
    y = np.clip(y, 0, sums.shape[0] - 1)
    x = np.clip(x, 0, sums.shape[1] - 1)
    top = np.minimum(y.astype(np.int64), sums.shape[0] - 2)
    left = np.minimum(x.astype(np.int64), sums.shape[1] - 2)
    down, across = y - top, x - left
    upper = sums[top, left] * (1 - across) + sums[top, left + 1] * across
    lower = sums[top + 1, left] * (1 - across) + sums[top + 1, left + 1] * across
    return np.asarray(upper * (1 - down) + lower * down)
