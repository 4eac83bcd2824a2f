"""Pictures of tiles for the gallery: read in a thread from slides that stay open for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.io.slides import Slide, open_slide
from napari_medssl.io.tile_sampling import TileSampler
from napari_medssl.state.search_examples import Area
from napari_medssl.widgets._thumbnails import kept_picture
from napari_medssl.widgets.similar.slide_places import exists

SIDE = 160
"""Pixels of a picture."""

_MOST_OPEN = 4
Picture = NDArray[np.uint8]


class OpenSlides:
    """The slides that were read last, open. Use from one thread at a time; `close` from any."""

    def __init__(self) -> None:
        self._slides: OrderedDict[str, Slide] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, fingerprint: str, candidates: Sequence[str]) -> Slide:
        """Return a slide, from the first of the places where it lies.

        Raises
        ------
        UserError
            If it lies at none of them, or another slide does.
        """
        with self._lock:
            slide = self._slides.get(fingerprint)
            if slide is None:
                slide = find_slide(fingerprint, candidates)
            self._slides[fingerprint] = slide
            self._slides.move_to_end(fingerprint)
            if len(self._slides) > _MOST_OPEN:
                self._slides.popitem(last=False)[1].close()
            return slide

    def close(self) -> None:
        """Close all."""
        with self._lock:
            while self._slides:
                self._slides.popitem()[1].close()


def find_slide(fingerprint: str, candidates: Sequence[str]) -> Slide:
    """Open the slide with a fingerprint, from the first of some places where it lies.

    Raises
    ------
    UserError
        If it lies at none of them, or another slide does, or it cannot be read.
    """
    reason = ""
    for place in candidates:
        if not exists(place):
            continue
        try:
            slide = open_slide(place)
        except UserError as error:
            reason = reason or str(error)
            continue
        if slide.fingerprint == fingerprint:
            return slide
        slide.close()
        reason = reason or (
            f"{place!r} is another slide than the one that was indexed there. Put the former file "
            "back, or index this one."
        )
    if reason:
        raise UserError(reason)
    place = candidates[-1] if candidates else fingerprint[:8]
    raise UserError(
        f"The slide is not at {place!r} any more, where it was when it was indexed. Put it back, "
        "or open it from where it is now and index it again: nothing is embedded twice."
    )


def read_area(slides: OpenSlides, area: Area, candidates: Sequence[str], side: int) -> Picture:
    """Return the square around an area, uint8 RGB, shape (side, side, 3)."""
    slide = slides.find(area.slide, candidates)
    size = max(1, round(max(area.width, area.height)))
    x, y = area.middle
    sampler = TileSampler(slide, size, side)
    picture: Picture = sampler.read([(round(x - size / 2), round(y - size / 2))])[0]
    return picture


def read_picture(path: str, side: int) -> Picture:
    """Return a picture file, reduced to at most `side` pixels a side, uint8 RGB (Y, X, 3)."""
    picture = Image.fromarray(read_image(ImageRef(Path(path))))
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
