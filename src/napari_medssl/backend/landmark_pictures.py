"""Bring a picture to a network of ImageNet: its size, its greys and its colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_planes(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Return a picture at a width as RGB planes (3, Y, X); grey ones with an even histogram."""
    from PIL import Image

    from napari_medssl.backend.histogram import even_out

    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    picture = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if picture.ndim == 3 and _is_grey(picture):
        picture = picture[..., 0]
    larger = width > pixels.shape[1]
    how = Image.Resampling.BICUBIC if larger else Image.Resampling.LANCZOS
    image = np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), how))
    if image.ndim == 2:
        return np.repeat(even_out(image)[None], 3, axis=0)
    return np.ascontiguousarray(np.moveaxis(image, 2, 0))


def _is_grey(picture: NDArray[np.uint8]) -> bool:
    """Return whether the colours of a picture are grey but for what JPEG does to them."""
    part = picture[::4, ::4].astype(np.int16)
    return bool(np.percentile(part.max(axis=2) - part.min(axis=2), 99) <= 8)
