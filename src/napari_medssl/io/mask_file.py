"""A mask of a slide as a PNG file of one bit, with the downsample that says where it lies."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.files import replace_whole
from napari_medssl.io.limits import one_line

_KEY = "downsample"


def write_mask(path: Path, mask: NDArray[np.generic], downsample: float) -> None:
    """Write where a mask is not 0, whole or not at all; UserError if that cannot be.

    Parameters
    ----------
    path
        File ending in ".png".
    mask
        Any type, shape (Y, X).
    downsample
        Level-0 pixels of a pixel of the mask.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text(_KEY, repr(float(downsample)))
    with replace_whole(path) as temporary:
        Image.fromarray(np.asarray(mask) != 0).save(temporary, format="PNG", pnginfo=about)


def read_mask(path: Path) -> tuple[NDArray[np.bool_], float]:
    """Return the mask, bool of shape (Y, X), and downsample that `write_mask` wrote.

    Raises
    ------
    UserError
        If the file is damaged or something else.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()
            downsample = float(str(picture.info[_KEY]))
            mask = np.array(picture.convert("1"), bool)
    except (OSError, ValueError, KeyError, SyntaxError) as error:
        raise UserError(
            f"Cannot read the mask {str(path)!r} ({one_line(error)}). Delete it to begin anew."
        ) from error
    if not (math.isfinite(downsample) and downsample >= 1):
        raise UserError(
            f"The mask {str(path)!r} has the downsample {downsample}; due is 1 or more. "
            "Delete it to begin anew."
        )
    return mask, downsample
