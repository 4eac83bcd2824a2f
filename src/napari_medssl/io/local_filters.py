"""Filters over small squares of pixels: how rough a plane is, and what of a mask is wide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def texture(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the standard deviation in windows of 3 x 3 pixels, shape (Y, X)."""
    from scipy import ndimage

    centred = plane - plane.mean()  # or the squares of a float32 lose the small differences
    mean = ndimage.uniform_filter(centred, 3)
    square = ndimage.uniform_filter(centred * centred, 3)
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)))


def opened(mask: Mask, side: int) -> Mask:
    """Return the part of `mask` (Y, X) that squares of `side` pixels cover from inside."""
    from scipy import ndimage

    if side < 2 or not mask.any():
        return mask
    # Filters by rows, then columns: ten times as fast as a structuring element of that size.
    cored = ndimage.minimum_filter(mask.view(np.uint8), side, mode="nearest")
    shift = -((side + 1) % 2)  # an even square has no middle: go back the way it came
    return np.asarray(ndimage.maximum_filter(cored, side, mode="nearest", origin=shift), dtype=bool)
