"""Bring images to the size and the channels that a network was made for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def resize_short_side(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return an image scaled so that its shorter side has `size` pixels; the aspect stays.

    Parameters
    ----------
    pixels
        uint8, shape (Y, X, 3) or (Y, X).
    """
    height, width = pixels.shape[:2]
    scale = size / min(height, width)
    if scale == 1:
        return pixels
    new = (max(size, round(width * scale)), max(size, round(height * scale)))
    # Pillow's bilinear filter widens as an image shrinks, so nothing is aliased.
    return np.asarray(Image.fromarray(pixels).resize(new, Image.Resampling.BILINEAR))


def to_channels(pixels: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Return an image as grey, shape (Y, X, 1), or RGB, shape (Y, X, 3).

    Parameters
    ----------
    pixels
        uint8, shape (Y, X), (Y, X, 1) or (Y, X, 3).
    channels
        1 or 3. Grey is the luminance of Rec. 601.
    """
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    if planes.shape[2] == channels:
        return planes
    if channels == 3:
        return np.repeat(planes, 3, axis=2)
    return np.asarray(Image.fromarray(planes).convert("L"))[..., None]
