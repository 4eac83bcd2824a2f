"""Tiles of a slide by shards, read in a thread of their own ahead of the encoder."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.slides import Slide
from napari_medssl.io.tiles import TileBatch, TileReader, TileReadError, Transform

_AHEAD = 4  # batches
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class ShardBatch:
    """Some tiles of a shard.

    Attributes
    ----------
    shard
        Its number.
    tiles
        The batch, None at the end of the shard; `index` counts within the shard.
    failures
        At the end: tiles of the shard that could not be read.
    """

    shard: int
    tiles: TileBatch | None
    failures: tuple[TileReadError, ...] = ()


@dataclass(frozen=True, slots=True)
class TileForm:
    """How tiles are read: side at level 0, side in own pixels, tiles in a batch, and colours."""

    size: int
    pixels: int
    batch: int
    transform: Transform | None = None


def stream_shards(
    slide: Slide,
    form: TileForm,
    next_shard: Callable[[], tuple[int, NDArray[np.int64]] | None],
) -> Generator[ShardBatch]:
    """Give the batches of shard after shard, and at the end of each one without tiles.

    The next shard is begun while the last batches are still worked on. Closing the iterator ends
    the thread before its next batch.

    Parameters
    ----------
    slide
        The slide.
    form
        How its tiles are read.
    next_shard
        Gives the number and the tile corners (N, 2) of the shard to begin; None at the end. It is
        called in the thread that reads.
    """
    ready: queue.Queue[ShardBatch | BaseException | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(item: ShardBatch | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            while (shard := next_shard()) is not None:
                if not _read_shard(slide, form, *shard, put):
                    return
            put(None)
        except BaseException as error:
            put(error)  # raised where the tiles are used

    thread = threading.Thread(target=read, name="medssl shards", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _read_shard(
    slide: Slide,
    form: TileForm,
    shard: int,
    locations: NDArray[np.int64],
    put: Callable[[ShardBatch], bool],
) -> bool:
    """Hand on the batches of a shard; say whether anybody still wants more."""
    reader = TileReader(
        slide,
        locations,
        form.size,
        form.pixels,
        batch_size=form.batch,
        on_bad_tile="skip",
        transform=form.transform,
    )
    batches = iter(reader)
    with closing(batches):  # type: ignore[type-var]  # a generator, which ends its threads
        for batch in batches:
            if not put(ShardBatch(shard, batch)):
                return False
    return put(ShardBatch(shard, None, tuple(reader.failures)))
