"""Embed shards of a slide's tiles: one function, run by this process or by a cluster's workers.

A shard's tiles always come in the same batches, whoever embeds it and in whatever order the shards
are taken: so its bytes are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.encoders import Encoder
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.backend.tile_stream import TileForm, stream_shards
from napari_medssl.backend.tiles import TilesConfig, plan_tiles
from napari_medssl.index.arrays import TILE, TileRows
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.tile_order import compact_order
from napari_medssl.io.slides import Slide
from napari_medssl.io.stain import StainStatistics, fit_slide_stain
from napari_medssl.io.tile_table import TileSource, TileTable

NextShard = Callable[[], tuple[int, NDArray[np.int64]] | None]
"""Gives the number and the tile corners (N, 2) of the shard to embed next; None at the end."""


@dataclass(frozen=True, slots=True)
class EncodedShard:
    """The embeddings of a shard.

    Attributes
    ----------
    shard
        Its number.
    embeddings
        float32 or float16 (rows, D), of unit length; zeros for tiles that could not be read.
    failures
        What to tell of these.
    """

    shard: int
    embeddings: NDArray[np.floating]
    failures: tuple[str, ...] = ()


def encode_shards(
    slide: Slide,
    encoder: Encoder,
    form: TileForm,
    next_shard: NextShard,
    *,
    on_batch: Callable[[int], None] = lambda tiles: None,
    should_stop: ShouldStop = never,
) -> Generator[EncodedShard]:
    """Give shard after shard; the tiles of the next one are read while one is embedded.

    Parameters
    ----------
    slide, form
        Whose tiles, and how they are read.
    encoder
        What they are embedded with.
    next_shard
        See `NextShard`; called in the thread that reads.
    on_batch
        Called after each batch with its tiles.
    should_stop
        Asked before each batch.

    Raises
    ------
    Cancelled
        If it was asked to stop.
    """
    counts: dict[int, int] = {}

    def next_counted() -> tuple[int, NDArray[np.int64]] | None:
        chosen = next_shard()
        if chosen is not None:
            counts[chosen[0]] = len(chosen[1])
        return chosen

    held: NDArray[np.float32] | None = None
    with closing(stream_shards(slide, form, next_counted)) as stream:  # ends the thread now
        for batch in stream:
            if should_stop():
                raise Cancelled
            if held is None:  # a tile that cannot be read stays zero
                held = np.zeros((counts[batch.shard], encoder.info.dim), np.float32)
            if batch.tiles is None:
                failures = tuple(str(failure) for failure in batch.failures)
                yield EncodedShard(batch.shard, held, failures)
                held = None
                continue
            held[batch.tiles.index] = encoder.embed(batch.tiles.pixels)
            on_batch(len(batch.tiles.index))


def tiling_of(set_up: SetUp, slide_mpp: float | None) -> TilesConfig:
    """Return which tiles a set-up is made of; `slide_mpp` where the slides do not say it."""
    return TilesConfig(
        mpp=set_up.mpp,
        size=set_up.size,
        overlap=set_up.overlap,
        min_tissue=set_up.min_tissue,
        blur=False,
        slide_mpp=slide_mpp,
    )


def find_tile_rows(
    slide: Slide, tiling: TilesConfig, *, should_stop: ShouldStop = never
) -> tuple[TileRows, tuple[str, ...]]:
    """Return the tiles of a slide in the order of `index.tile_order`, and remarks.

    Raises
    ------
    UserError, Cancelled
        As `plan_tiles`.
    """
    plan = plan_tiles(slide, tiling, should_stop=should_stop)
    table = plan.table
    order = compact_order(table.locations, table.size)
    rows = np.zeros(len(order), TILE)
    rows["x"], rows["y"] = table.locations[order].T
    rows["size"] = table.size
    rows["tissue"] = table.tissue[order]
    remarks = list(plan.remarks)
    if not len(rows):
        remarks.append(f"{slide.name!r} shows no tissue: no tile is indexed.")
    return rows, tuple(remarks)


def fit_look(slide: Slide, set_up: SetUp, tiles: TileRows, mpp: float) -> StainStatistics | None:
    """Return the stain of a slide, None where the set-up takes colours as they are.

    Parameters
    ----------
    slide, tiles
        The slide and the tiles that will be embedded.
    set_up
        Which stain the encoder wants.
    mpp
        Microns per level-0 pixel.
    """
    if not set_up.stain or not len(tiles):
        return None
    size = int(tiles["size"][0])
    source = TileSource(slide.fingerprint, mpp, mpp * size / set_up.pixels, set_up.pixels)
    blur = np.full(len(tiles), np.nan, np.float32)
    table = TileTable(corners(tiles), size, tiles["tissue"], blur, source)
    return fit_slide_stain(slide, table)


def corners(tiles: TileRows) -> NDArray[np.int64]:
    """Return the corners `(x, y)` of tiles at level 0, shape (N, 2)."""
    return np.stack([tiles["x"], tiles["y"]], axis=1).astype(np.int64)
