"""Pictures of tiles for the gallery: read in a thread from slides that stay open for a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.io.tile_sampling import TileSampler
from napari_medssl.state.search_examples import Area
from napari_medssl.widgets._thumbnails import kept_picture

SIDE = 160
"""Pixels of a picture."""

Picture = NDArray[np.uint8]


def read_area(slides: OpenSlides, area: Area, candidates: Sequence[str], side: int) -> Picture:
    """Return the square around an area, uint8 RGB, shape (side, side, 3)."""
    slide = slides.find(area.slide, candidates)
    size = max(1, round(max(area.width, area.height)))
    x, y = area.middle
    sampler = TileSampler(slide, size, side)
    picture: Picture = sampler.read([(round(x - size / 2), round(y - size / 2))])[0]
    return picture


def read_picture(path: str, side: int) -> Picture:
    """Return a picture file, reduced to at most `side` pixels a side, uint8 RGB (Y, X, 3).

    A dim one is made light enough to be seen, see `io.images.read_image`.
    """
    picture = Image.fromarray(read_image(ImageRef(Path(path)), robust=True))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.array(picture)


def area_key(area: Area) -> str:
    """Return the key of the picture of an area."""
    return f"{area.slide}|{area.x:g}|{area.y:g}|{area.width:g}|{area.height:g}"


def area_of_key(key: str) -> Area:
    """Return the area of such a key."""
    slide, *numbers = key.split("|")
    return Area(slide, *map(float, numbers))


class PictureMaker:
    """Makes what reads the picture of a key, for `Thumbnails`.

    Parameters
    ----------
    candidates
        Returns where the file of a slide may lie; called on the GUI thread.
    """

    def __init__(self, candidates: Callable[[str], tuple[str, ...]]) -> None:
        self.slides = OpenSlides()
        self._candidates = candidates

    def __call__(self, key: str, cache: DiskCache | None) -> Callable[[], np.ndarray]:
        """Return what makes a picture; a key is that of an area, or `file|PATH`."""
        kind, _, rest = key.partition("|")
        if kind == "file":
            return partial(read_picture, rest, SIDE)
        area = area_of_key(key)
        make = partial(read_area, self.slides, area, self._candidates(area.slide), SIDE)
        return partial(kept_picture, cache, f"tile|{key}|{SIDE}", make)
