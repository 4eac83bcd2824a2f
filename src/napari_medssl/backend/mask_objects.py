"""The objects of a mask: pixels of one class that touch each other, also at a corner only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOUCHING = np.ones((3, 3), np.uint8)
"""What counts as touching: the 8 pixels around one."""


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
        labels, _ = ndimage.label(mask[box] == number, TOUCHING)
        found[number] = np.bincount(labels.ravel())[1:]
    return found
