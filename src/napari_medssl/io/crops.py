"""Cut the panels out of a figure, without loss."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.names import safe_part
from napari_medssl.io.boxes import Box
from napari_medssl.io.files import make_folder, replace_whole

_SLACK = 1e-6  # pixels: 10.0000000001 is 10, not a reason for one more row


def pixel_edges(box: Box, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return (x0, y0, x1, y1) in whole pixels, half open: the pixels that `box` touches.

    Edges are rounded outward and clamped to the image. None for a box outside of it.
    """
    x0 = max(0, math.floor(box.x0 + _SLACK))
    y0 = max(0, math.floor(box.y0 + _SLACK))
    x1 = min(width, math.ceil(box.x1 - _SLACK))
    y1 = min(height, math.ceil(box.y1 - _SLACK))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def crop(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8] | None:
    """Return the part of `image` (Y, X, 3) that `box` touches, a view; None if there is none."""
    edges = pixel_edges(box, image.shape[1], image.shape[0])
    if edges is None:
        return None
    x0, y0, x1, y1 = edges
    return image[y0:y1, x0:x1]


def save_crops(
    image: NDArray[np.uint8], boxes: Sequence[Box], folder: str | os.PathLike[str], stem: str
) -> list[Path]:
    """Write each box of `image` (Y, X, 3) as a PNG file into `folder`, made if it is missing.

    Files are named after `stem`, the place in the list and the panel letter: `fig1_02_b.png`.
    Each is written whole or not at all. A box outside the image gives no file. Returns the files
    in the order of the boxes.
    """
    place = make_folder(folder)
    digits = max(2, len(str(len(boxes))))
    written = []
    for number, box in enumerate(boxes, start=1):
        pixels = crop(image, box)
        if pixels is None:
            continue
        letter = f"_{safe_part(box.label)}" if box.label else ""
        target = place / f"{safe_part(stem)}_{number:0{digits}}{letter}.png"
        with replace_whole(target) as temporary:
            _save_png(pixels, temporary, target)
        written.append(target)
    return written


def _save_png(pixels: NDArray[np.uint8], temporary: Path, target: Path) -> None:
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG")
    except ValueError as error:
        raise UserError(f"Cannot write {str(target)!r}: {error}.") from error
