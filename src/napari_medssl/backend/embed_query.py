"""Embed what a window asks with, in the compute process: places of a slide, or a picture.

The encoder stays loaded between calls. What is embedded is what `backend.index_slides` would have
embedded there, so that the answers compare with the tiles of the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import Encoder, make_encoder
from napari_medssl.backend.jobs import Cancelled, OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.model_cache import ModelCache
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.backend.tiles import TilesConfig, plan_tiles, slide_mpp
from napari_medssl.index.set_up import SetUp, check_encoder
from napari_medssl.io.images import ImageRef
from napari_medssl.io.slide_tissue import SlideTissue, find_tissue
from napari_medssl.io.slides import Slide, open_slide
from napari_medssl.io.stain import Reinhard, fit_slide_stain, fit_stain
from napari_medssl.io.tile_sampling import TileSampler

_ENCODERS: ModelCache[Encoder] = ModelCache(capacity=2)
_STAINS: ModelCache[Reinhard | None] = ModelCache(capacity=8)
_TISSUES: ModelCache[SlideTissue] = ModelCache(capacity=8)
_BATCH = 32


def load_encoder(
    set_up: SetUp,
    encoder: str,
    device: str = "auto",
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Encoder:
    """Return the encoder of a library, loaded once.

    Parameters
    ----------
    set_up
        What the library was made with.
    encoder
        How the encoder was named then: a name or a file.
    device
        Where it runs, "auto" for the fastest there is.

    Raises
    ------
    UserError
        If it is not there any more, or has other weights by now.
    """
    loaded = _ENCODERS.get((encoder, device), lambda: make_encoder(encoder, device))
    check_encoder(set_up, loaded.info.name, loaded.info.sha256, loaded.info.preprocessing)
    return loaded


def warm_encoder(
    set_up: SetUp,
    encoder: str,
    device: str = "auto",
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> str:
    """Load an encoder and let it look once; return its name. Raises as `load_encoder`."""
    loaded = load_encoder(set_up, encoder, device)
    if not should_stop():
        loaded.embed(np.zeros((1, set_up.pixels, set_up.pixels, 3), np.uint8))
    return loaded.info.name


def embed_area(
    set_up: SetUp,
    encoder: str,
    source: str,
    area: tuple[float, float, float, float],
    device: str = "auto",
    *,
    mpp: float | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> tuple[NDArray[np.float32], int, float]:
    """Return the embedding of an area of a slide, float32 (D,), and the side of a tile there.

    The third value is the part of the area that is tissue, 0 to 1.

    An area that is smaller than a tile, or a point, gives the tile around its middle. A larger one
    gives the mean of the tiles that fill it, at most 64 spread over it.

    Parameters
    ----------
    set_up, encoder, device
        See `load_encoder`.
    source
        Path or URL of the slide.
    area
        `(x, y, width, height)` in pixels of level 0.
    mpp
        Microns per level-0 pixel, where the library knows it better than the file.

    Raises
    ------
    UserError
        If the slide cannot be read there, has no mpp, or the encoder is not to be had.
    """
    loaded = load_encoder(set_up, encoder, device)
    with open_slide(source) as slide:
        tiling = TilesConfig(
            mpp=set_up.mpp,
            size=set_up.size,
            min_tissue=set_up.min_tissue,
            blur=False,
            slide_mpp=mpp,
        )
        size = max(1, round(set_up.size * set_up.mpp / slide_mpp(slide, tiling)))
        stain = stain_of(slide, set_up, tiling)
        if should_stop():
            raise Cancelled
        corners = corners_in(area, size)
        tiles = TileSampler(slide, size, set_up.pixels).read(corners)
        tissue = _tissue_under(slide, corners, size, slide_mpp(slide, tiling))
    if stain is not None:
        tiles = np.stack([stain(tile) for tile in tiles])
    parts = [loaded.embed(tiles[i : i + _BATCH]) for i in range(0, len(tiles), _BATCH)]
    mean = np.concatenate(parts).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise UserError("Nothing is to be seen there. Choose a place with tissue.")
    vector: NDArray[np.float32] = (mean / length).astype(np.float32)
    return vector, size, tissue


def _tissue_under(slide: Slide, corners: Sequence[tuple[int, int]], size: int, mpp: float) -> float:
    """Return the part of tiles that is tissue, 0 to 1; the tissue of a slide is kept."""
    found = _TISSUES.get((slide.fingerprint, mpp), lambda: find_tissue(slide, mpp))
    return float(found.fraction(np.array(corners), size).mean())


def embed_picture(
    set_up: SetUp,
    encoder: str,
    path: Path,
    device: str = "auto",
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> NDArray[np.float32]:
    """Return the embedding of the middle square of a picture, float32 (D,).

    A picture says nothing of its resolution: it is taken as one tile.

    Raises
    ------
    UserError
        If the file is no picture, or the encoder is not to be had.
    """
    tile = read_tile(ImageRef(path), set_up.pixels)
    loaded = load_encoder(set_up, encoder, device)
    if set_up.stain:
        with suppress(UserError):  # too little stain to be normalised: it is taken as it is
            tile = Reinhard(fit_stain(tile), set_up.stain)(tile)
    vector: NDArray[np.float32] = loaded.embed(tile[None])[0]
    return vector


_MOST_ACROSS = 8


def corners_in(area: tuple[float, float, float, float], size: int) -> Sequence[tuple[int, int]]:
    """Return the corners `(x, y)` of the tiles that stand for an area, at most 8 by 8.

    Parameters
    ----------
    area
        `(x, y, width, height)` in pixels of level 0.
    size
        Side of a tile there.
    """

    def along(start: float, length: float) -> list[int]:
        count = min(_MOST_ACROSS, max(1, round(length / size)))
        step = length / count
        return [round(start + step * (i + 0.5) - size / 2) for i in range(count)]

    x, y, width, height = area
    return [(left, top) for top in along(y, height) for left in along(x, width)]


def stain_of(slide: Slide, set_up: SetUp, tiling: TilesConfig) -> Reinhard | None:
    """Return what gives the slide's tiles the colours that the encoder wants, kept by slide."""
    if not set_up.stain:
        return None

    def fit() -> Reinhard | None:
        return Reinhard(fit_slide_stain(slide, plan_tiles(slide, tiling).table), set_up.stain)

    return _STAINS.get((slide.fingerprint, set_up.name), fit)
