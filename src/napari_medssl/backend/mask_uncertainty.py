"""How undecided a model was about an image, as one number to order images by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MAYBE = 0.5  # entropy from which a pixel may be of another class: a share of 0.11 of two classes
_RIM = 0.01  # of the shorter side, by which what was found is grown
_TOP = 0.01  # of the pixels that speak for an image in which nothing was found


def mask_uncertainty(entropy: NDArray[np.float32], classes: NDArray[np.uint8]) -> float:
    """Return how undecided a mask is, 0 to 1: the mean entropy where something is, or might be.

    A mean over all pixels would order images by how much of them is empty: the sure background of
    a small object hides that its outline is a guess. So only these pixels count: those of a class,
    grown by a rim of 1 % of the shorter side, in which outlines are wrong; and those of an entropy
    above one half, where an object may have been missed. An image in which neither is there is
    judged by the mean of its most undecided 1 %: what was missed is likeliest there.

    Parameters
    ----------
    entropy
        Of the shares of classes in each pixel, 0 to 1, shape (Y, X).
    classes
        Class of each pixel, 0 for the rest, shape (Y, X).
    """
    from scipy import ndimage

    found = classes != 0
    if found.any():
        rim = max(1, round(_RIM * min(found.shape)))
        found = ndimage.binary_dilation(found, iterations=rim)
    counted = entropy[found | (entropy > _MAYBE)]
    if not counted.size:
        few = max(1, round(_TOP * entropy.size))
        counted = np.partition(entropy.ravel(), -few)[-few:]
    return float(np.clip(counted.mean(dtype=np.float64), 0.0, 1.0))
