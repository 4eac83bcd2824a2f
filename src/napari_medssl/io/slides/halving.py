"""Make the next level of a pyramid: the mean of two by two pixels."""

from __future__ import annotations

import numpy as np

from napari_medssl.io.slides.protocol import Pixels


def halved(size: int) -> int:
    """Return how many pixels are left of `size`: an odd last one stays, as a mean of fewer."""
    return (size + 1) // 2


def halve(pixels: Pixels) -> Pixels:
    """Return the means of 2 x 2 pixels, rounded to the nearest, halves up.

    Parameters
    ----------
    pixels
        uint8, shape (Y, X, C).

    Returns
    -------
    uint8, shape (ceil(Y / 2), ceil(X / 2), C). A last odd row or column is the mean of the pixels
    that are there.
    """
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    # Rows first: the sums of whole rows run along memory.
    rows = pixels[0::2].astype(np.uint16)
    rows += pixels[1::2]
    total = rows[:, 0::2] + rows[:, 1::2]
    total += 2
    total >>= 2
    return total.astype(np.uint8)
