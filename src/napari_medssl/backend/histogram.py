"""Even out the histogram of an image, so that exposure and windowing no longer tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def even_out(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image whose brightness takes every value about equally often.

    Parameters
    ----------
    pixels
        Shape (Y, X), (Y, X, 1) or (Y, X, 3). Of colours, hue and saturation stay: the largest of
        the three planes is evened out, the others follow in proportion.
    """
    from skimage.exposure import equalize_hist

    value = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    even = np.rint(equalize_hist(value) * 255)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.asarray(even, np.uint8).reshape(pixels.shape)
    # Each plane is at most the largest, so none leaves the range.
    share = pixels / np.maximum(value, 1, dtype=np.float32)[..., None]
    return np.asarray(np.rint(share * even[..., None]), np.uint8)
