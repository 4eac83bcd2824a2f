"""Pictures as tiles: read, cut to a square, brought to an encoder's size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
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


def read_batches(
    refs: Sequence[ImageRef],
    pixels: int,
    batch: int,
    failures: list[tuple[str, str]],
) -> Iterator[tuple[int, list[ImageRef], NDArray[np.uint8]]]:
    """Give how many are read, the pictures of a batch, and their tiles (B, S, S, 3).

    What cannot be read is added to `failures` and left out. The next batch is read meanwhile.
    """

    def read(ref: ImageRef) -> NDArray[np.uint8] | str:
        try:
            return read_tile(ref, pixels)
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        starts = range(0, len(refs), batch)
        following = [pool.submit(read, ref) for ref in refs[:batch]]
        for start in starts:
            under_way = following
            ahead = refs[start + batch : start + 2 * batch]
            following = [pool.submit(read, ref) for ref in ahead]
            kept, tiles = [], []
            for ref, future in zip(refs[start : start + batch], under_way, strict=True):
                came = future.result()
                if isinstance(came, str):
                    failures.append((ref.name, came))
                else:
                    kept.append(ref)
                    tiles.append(came)
            if kept:
                yield min(start + batch, len(refs)), kept, np.stack(tiles)
