"""Small pictures of the rows of a map: of files, or tiles of slides that stay open for a while."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtCore import QObject, Signal

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache, file_key
from napari_medssl.backend.map_pictures import SlideTile
from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.widgets._thumbnails import Thumbnails, kept_picture
from napari_medssl.widgets.embedding_map.session import MapSession

SIDE = 128
"""Pixels of a picture."""

Picture = NDArray[np.uint8]


class RowPictures:
    """Makes what reads the picture of a row, for `Thumbnails`; the key is the row's number."""

    def __init__(self, session: MapSession) -> None:
        self.slides = OpenSlides()
        self._session = session

    def __call__(self, key: str, cache: DiskCache | None) -> Callable[[], np.ndarray]:
        """Return what makes the picture of a row.

        Raises
        ------
        UserError
            If nobody knows where it is.
        """
        source = self._session.source
        row = int(key)
        place = None if source is None or row >= len(source.names) else source.pictures[row]
        if place is None:
            raise UserError("Nobody knows where the picture is.")
        if isinstance(place, ImageRef):
            return partial(_read_file, place, cache)
        return partial(_read_tile, self.slides, place, cache)


class RowThumbnails(QObject):
    """The pictures of rows as the map asks for them.

    Signals
    -------
    ready
        The number of a row whose picture is there now.
    """

    ready = Signal(int)

    def __init__(self, thumbnails: Thumbnails, parent: QObject) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails
        thumbnails.ready.connect(self._on_ready)

    def get(self, row: int) -> Any:
        """Return the picture of a row, None while it is made or if there is none."""
        return self._thumbnails.get(str(row))

    def _on_ready(self, key: str) -> None:
        self.ready.emit(int(key))


def _read_file(ref: ImageRef, cache: DiskCache | None) -> Picture:
    key = "" if cache is None else file_key(ref.path, "light map", ref.page, SIDE)
    return kept_picture(cache, key, partial(_shrunk, ref))


def _shrunk(ref: ImageRef) -> Picture:
    picture = Image.fromarray(read_image(ref, robust=True))  # dim ones light enough to be seen
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    return np.ascontiguousarray(picture)


def _read_tile(slides: OpenSlides, tile: SlideTile, cache: DiskCache | None) -> Picture:
    where = tile.slide
    key = f"map|{where.fingerprint or where.path}|{tile.x}|{tile.y}|{tile.size}|{SIDE}"
    return kept_picture(cache, key, partial(_sampled, slides, tile))


def _sampled(slides: OpenSlides, tile: SlideTile) -> Picture:
    from napari_medssl.io.tile_sampling import TileSampler

    slide = slides.find(tile.slide.fingerprint, (tile.slide.path,))
    picture: Picture = TileSampler(slide, tile.size, SIDE).read([(tile.x, tile.y)])[0]
    return picture
