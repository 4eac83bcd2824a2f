"""Compare a decoded tile with what OpenSlide shows at its place.

OpenSlide takes places in level-0 pixels only. Where the downsample of a level is not a whole number
a tile's corner lies between them, and OpenSlide interpolates linearly and cuts off the fraction.
Then the tile is interpolated alike before it is compared, to less than one grey level; where the
corner is a whole pixel, all pixels must be equal.
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
    height, width = ours.shape[:2]
    place = (round(corner[0] * downsample), round(corner[1] * downsample))
    shift = [at / downsample - due for at, due in zip(place, corner, strict=True)]
    theirs = read(place, (width, height))
    if max(map(abs, shift)) < _WHOLE:
        return bool((ours == theirs).all())
    if min(width, height) < 3:
        return True  # no pixel has both neighbours
    due = _shifted(_shifted(ours.astype(np.float64), shift[0], 1), shift[1], 0)
    difference = np.abs(due - theirs)[1:-1, 1:-1]
    return bool(difference.max() <= _CUT_OFF)


def _shifted(pixels: NDArray[np.float64], shift: float, axis: int) -> NDArray[np.float64]:
    """Return `pixels` interpolated linearly at `shift`, between -1 and 1, along `axis`."""
    neighbour = np.roll(pixels, -1 if shift > 0 else 1, axis)
    return (1 - abs(shift)) * pixels + abs(shift) * neighbour
