"""Read again what an embedding was made of: the tiles of a place of a slide, or of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.embed_query import corners_in, stain_of
from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.backend.tiles import TilesConfig
from napari_medssl.index.set_up import SetUp
from napari_medssl.io.images import ImageRef
from napari_medssl.io.stain import Reinhard, fit_stain
from napari_medssl.io.tile_sampling import TileSampler

Tiles = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TilePlace:
    """Where the pixels of an example or of a hit are.

    Attributes
    ----------
    slide
        Fingerprint of the slide, "" for a picture.
    candidates
        Where its file may lie, the likeliest first; of a picture its file.
    area
        `(x, y, width, height)` in level-0 pixels. One larger than a tile stands for the tiles that
        fill it, as in `embed_query.corners_in`.
    size
        Side of a tile there.
    mpp
        Microns per level-0 pixel where the library knows them better than the file.
    """

    slide: str
    candidates: tuple[str, ...]
    area: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    size: int = 0
    mpp: float | None = None

    @property
    def corners(self) -> Sequence[tuple[int, int]]:
        """Corners `(x, y)` of its tiles."""
        return corners_in(self.area, self.size)


def read_place(slides: OpenSlides, place: TilePlace, pixels: int) -> Tiles:
    """Return the tiles of a place as they are, uint8 RGB, shape (N, S, S, 3).

    Raises
    ------
    UserError
        If the slide or the picture is not there or cannot be read.
    """
    if not place.slide:
        return read_tile(ImageRef(Path(place.candidates[0])), pixels)[None]
    slide = slides.find(place.slide, place.candidates)
    tiles: Tiles = TileSampler(slide, place.size, pixels).read(place.corners)
    return tiles


def as_indexed(slides: OpenSlides, place: TilePlace, tiles: Tiles, set_up: SetUp) -> Tiles:
    """Return tiles of a place in the colours that the encoder of a library was shown."""
    if not set_up.stain:
        return tiles
    if not place.slide:
        with suppress(UserError):  # too little stain: `embed_query` takes it as it is too
            return Reinhard(fit_stain(tiles), set_up.stain)(tiles)
        return tiles
    tiling = TilesConfig(
        mpp=set_up.mpp,
        size=set_up.size,
        min_tissue=set_up.min_tissue,
        blur=False,
        slide_mpp=place.mpp,
    )
    stain = stain_of(slides.find(place.slide, place.candidates), set_up, tiling)
    return tiles if stain is None else np.stack([stain(tile) for tile in tiles])
