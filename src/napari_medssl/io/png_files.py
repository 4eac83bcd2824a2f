"""Images as the bytes of PNG files, also of pixels that are 8 bits by a choice made already."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

LEVELS_CHOSEN = "medssl levels chosen"
"""Text chunk of pictures that `read_image(..., robust=True)` leaves as they are."""


def png_bytes(image: NDArray[np.uint8], *, is_chosen: bool = False) -> bytes:
    """Return an image, grey (Y, X), (Y, X, 1) or RGB (Y, X, 3), as a PNG file.

    Parameters
    ----------
    is_chosen
        Whether the pixels were read with `robust`: read again, a dark slice of a light volume would
        be taken for a dim picture.
    """
    content = BytesIO()
    about = PngInfo()
    if is_chosen:
        about.add_text(LEVELS_CHOSEN, "yes")
    plane = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    Image.fromarray(np.ascontiguousarray(plane)).save(content, format="PNG", pnginfo=about)
    return content.getvalue()
