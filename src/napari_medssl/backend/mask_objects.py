"""The objects of a mask: pixels of one class that touch each other, also at a corner only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOUCHING = np.ones((3, 3), np.uint8)
"""What counts as touching: the 8 pixels around one."""
_BAND = 250_000  # pixels that are counted at a time: numpy holds Python's lock meanwhile


def object_sizes(mask: NDArray[np.uint8]) -> dict[int, NDArray[np.int64]]:
    """Return how many pixels each object has, by class, in the order in which rows meet them.

    Parameters
    ----------
    mask
        Class numbers, uint8, shape (Y, X); 0 has no objects, and a class without pixels no entry.
    """
    from scipy import ndimage

    found = {}
    for number, box in enumerate(ndimage.find_objects(mask), start=1):
        if box is None:
            continue
        labels, count = ndimage.label(mask[box] == number, TOUCHING)
        found[number] = _counted(labels, count)[1:]
    return found


def _counted(labels: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Return how often each number of 0 to `count` is in an array of shape (Y, X)."""
    counts = np.zeros(count + 1, np.int64)
    step = max(1, _BAND // max(1, labels.shape[1]))
    for top in range(0, len(labels), step):
        band = np.bincount(labels[top : top + step].ravel())
        counts[: len(band)] += band  # numbers rise with the rows: the first bands are short
    return counts
