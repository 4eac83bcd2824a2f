"""Small pictures of image files, kept on disk between sessions."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from napari_medssl.backend.disk_cache import DiskCache, file_key
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.widgets._thumbnails import HEIGHT, WIDTH, kept_picture


def make_thumbnail(path: Path, page: int | None, *, robust: bool = False) -> np.ndarray:
    """Return the image of a file shrunk into 84 x 60 px, shape (Y, X, 3) uint8, at twice that.

    Twice the size keeps it sharp on screens with small pixels. With `robust` it is as light as the
    layer of an image that was read so, see `io.images.read_image`.
    """
    picture = Image.fromarray(read_image(ImageRef(path, page), robust=robust))
    picture.thumbnail((2 * WIDTH, 2 * HEIGHT), Image.Resampling.BOX, reducing_gap=2.0)
    return np.ascontiguousarray(picture)


def cached_thumbnail(
    path: Path, page: int | None, cache: DiskCache | None, *, robust: bool = False
) -> np.ndarray:
    """Return what `make_thumbnail` makes, from the cache if the file has not changed since."""
    kind = "light thumbnail" if robust else "thumbnail"
    key = "" if cache is None else file_key(path, kind, page, WIDTH, HEIGHT)
    return kept_picture(cache, key, partial(make_thumbnail, path, page, robust=robust))
