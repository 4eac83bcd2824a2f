"""What an autoencoder is trained on: the middle squares of images, and how much they vary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.training_images import TrainingImages


def middle_squares(found: TrainingImages) -> NDArray[np.uint8]:
    """Return the middle squares of images, uint8, shape (N, C, S, S)."""
    squares = []
    for image in found.pixels:
        height, width = image.shape[1:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        squares.append(image[:, top : top + side, left : left + side])
    return np.stack(squares)


def variance_over_images(images: NDArray[np.uint8]) -> float:
    """Return the mean over pixels and channels of their variance over images, values 0 to 1.

    Parameters
    ----------
    images
        Shape (N, C, S, S).
    """
    return float(images.var(axis=0, dtype=np.float64).mean() / 255**2)
