"""Images as the bytes of PNG files."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """Return an image, grey (Y, X), (Y, X, 1) or RGB (Y, X, 3), as a PNG file."""
    content = BytesIO()
    plane = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    Image.fromarray(np.ascontiguousarray(plane)).save(content, format="PNG")
    return content.getvalue()
