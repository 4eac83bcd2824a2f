"""Pictures as tiles: read, cut to a square, brought to an encoder's size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.images import ImageRef, read_image


def fit_tile(picture: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """Return the middle square of a picture at another size.

    Parameters
    ----------
    picture
        uint8 RGB, shape (Y, X, 3).
    pixels
        Side of the result, S; filtered where it is smaller, linear where it is larger.

    Returns
    -------
    uint8 RGB, shape (S, S, 3).
    """
    from PIL import Image

    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    if side == pixels:
        return np.ascontiguousarray(square)
    resized = Image.fromarray(square).resize((pixels, pixels), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def read_tile(ref: ImageRef, pixels: int) -> NDArray[np.uint8]:
    """Return a picture of a file as a tile, uint8 RGB, shape (S, S, 3).

    Raises
    ------
    UserError
        If the file is no picture or damaged.
    """
    return fit_tile(read_image(ref), pixels)
