"""Compare a decoded tile with what OpenSlide shows at its place.

OpenSlide takes places in level-0 pixels only. Where the downsample of a level is not a whole number
a tile's corner lies between them, and OpenSlide interpolates linearly and cuts off the fraction.
Then the middle of the tile is interpolated alike before it is compared, to less than one grey level
(its edges would take the neighbours, which costs four times as much); where the corner is a whole
pixel, all pixels must be equal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.slides.protocol import Pixels

_WHOLE = 1 / 512  # OpenSlide's canvas places to 1/256 pixel
_CUT_OFF = 1.5  # below 1 by the cut, measured 1.39 with the rounding of the place


def is_same(
    ours: Pixels,
    corner: tuple[int, int],
    downsample: float,
    read: Callable[[tuple[int, int], tuple[int, int]], Pixels],
) -> bool:
    """Say whether `ours` is what `read` gives.

    Parameters
    ----------
    ours
        The pixels of a tile that lie inside the level, shape (Y, X, 3).
    corner
        Its place `(x, y)` in pixels of the level.
    downsample
        Of the level.
    read
        OpenSlide's reading of a place in level-0 pixels and a size in pixels of the level.
    """
    place, shift = _nearest_place(corner, downsample)
    if max(map(abs, shift)) < _WHOLE:
        return bool((ours == read(place, (ours.shape[1], ours.shape[0]))).all())
    height, width = (side // 2 for side in ours.shape[:2])
    left, top = width // 2, height // 2
    if min(width, height) < 3:
        return True  # no pixel has both neighbours
    place, shift = _nearest_place((corner[0] + left, corner[1] + top), downsample)
    theirs = read(place, (width, height))
    middle = ours[top : top + height, left : left + width].astype(np.float64)
    due = _shifted(_shifted(middle, shift[0], 1), shift[1], 0)
    difference = np.abs(due - theirs)[1:-1, 1:-1]
    return bool(difference.max() <= _CUT_OFF)


def _nearest_place(
    corner: tuple[int, int], downsample: float
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the level-0 place nearest to a pixel of a level, and how far beside it lies."""
    x, y = (round(side * downsample) for side in corner)
    return (x, y), (x / downsample - corner[0], y / downsample - corner[1])


def _shifted(pixels: NDArray[np.float64], shift: float, axis: int) -> NDArray[np.float64]:
    """Return `pixels` interpolated linearly at `shift`, between -1 and 1, along `axis`."""
    neighbour = np.roll(pixels, -1 if shift > 0 else 1, axis)
    return (1 - abs(shift)) * pixels + abs(shift) * neighbour
