"""Class numbers of pixels as a grey PNG file of 8 bits: 0 for none, then one number a class."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.limits import check_size, one_line


def class_png(classes: NDArray[np.uint8]) -> bytes:
    """Return class numbers, shape (Y, X), as the content of a grey PNG file of 8 bits."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(classes).save(stream, "PNG")
    return stream.getvalue()


def parse_class_png(content: bytes) -> NDArray[np.uint8]:
    """Return the class numbers that `class_png` wrote, shape (Y, X).

    Raises
    ------
    ValueError
        If it is no grey PNG of 8 bits, or a damaged one.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            check_size("mask", *picture.size)
            picture.load()
            if picture.mode != "L":
                raise ValueError(f"its pixels are {picture.mode!r}, due are 8 bits of grey")
            return np.array(picture, np.uint8)
    except (OSError, SyntaxError, UserError) as error:
        raise ValueError(one_line(error)) from error


def read_class_file(path: Path) -> NDArray[np.uint8]:
    """Return the class numbers of a file, shape (Y, X).

    Raises
    ------
    UserError
        If it is missing, damaged or of another kind.
    """
    try:
        return parse_class_png(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(
            f"Cannot read the mask {str(path)!r} ({one_line(error)}). Segment the image again."
        ) from error


def is_other_png(path: Path) -> bool:
    """Say whether a file is a PNG that is not grey of 8 bits, as other programs write masks."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.mode != "L"
    except Exception:  # Pillow raises what it pleases; whoever reads the file tells it
        return False
