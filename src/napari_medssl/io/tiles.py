"""Give tiles of a slide in batches, read ahead in threads while a model works on the last ones.

Tiles are read in blocks: squares of a level that hold many of them, so that a stored tile under
several is decoded once, in the order in which the file stores them. Which tiles make a batch
depends on nothing but the request: the same request gives the same batches, whatever the threads
do. `TileBatch.index` leads back to the order of the request.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.slides.protocol import Slide, SlideReadError
from napari_medssl.io.tile_sampling import Tiles, TileSampler

Indices = NDArray[np.int64]
Transform = Callable[[Tiles], Tiles]

_UPRIGHT = 4  # height of a block for its width
_BLOCK_BYTES = 16 * 2**20  # read for a block; the peak is about this for each block in flight


class TileReadError(SlideReadError):
    """A tile that cannot be read.

    Attributes
    ----------
    location
        `(x, y)` of the tile at level 0.
    index
        Its place in the request.
    """

    def __init__(self, cause: SlideReadError, location: tuple[int, int], index: int) -> None:
        super().__init__(
            f"Tile {index} at x {location[0]}, y {location[1]} cannot be read. {cause}",
            cause.level,
            cause.corner,
            cause.size,
        )
        self.location = location
        self.index = index


@dataclass(frozen=True, slots=True)
class TileBatch:
    """Some tiles of a request.

    Attributes
    ----------
    pixels
        uint8 RGB, shape (B, S, S, 3). Yours to change.
    locations
        `(x, y)` at level 0, shape (B, 2).
    index
        Place of each tile in the request, shape (B,).
    """

    pixels: Tiles
    locations: Indices
    index: Indices


@dataclass(frozen=True, slots=True)
class _Block:
    """What one task has read: places in the request, their pixels, and those that failed."""

    index: Indices
    pixels: Tiles
    failures: tuple[TileReadError, ...] = ()


class TileReader:
    """Reads tiles in batches; iterate over it, once or often.

    Parameters
    ----------
    slide
        The slide; it stays open.
    locations
        Top left corners `(x, y)` at level 0, whole numbers, shape (N, 2).
    size
        Side of a tile in level-0 pixels.
    pixels
        Side of a tile in its own pixels, S; the resolution is `size / pixels` times the slide's
        mpp.
    batch_size
        Tiles in a batch, B; the last one may hold fewer.
    workers
        Threads that read; by default one for each core, at most 8.
    ahead
        Blocks read ahead of the one that is used, for which memory is held.
    on_bad_tile
        "raise" a `TileReadError` that names the tile, or "skip" it: it is then in no batch, but in
        `failures`.
    transform
        Called in the threads with tiles (N, S, S, 3), such as `io.stain.Reinhard`; returns as many
        of the same shape.

    Raises
    ------
    UserError
        If sizes or numbers make no sense.
    """

    def __init__(
        self,
        slide: Slide,
        locations: NDArray[np.integer] | Sequence[tuple[int, int]],
        size: int,
        pixels: int,
        *,
        batch_size: int = 64,
        workers: int | None = None,
        ahead: int = 4,
        on_bad_tile: Literal["raise", "skip"] = "raise",
        transform: Transform | None = None,
    ) -> None:
        places = np.asarray(locations)
        places = places.reshape(-1, 2) if not places.size else places
        if places.ndim != 2 or places.shape[1] != 2 or places.dtype.kind not in "iuf":
            raise UserError(f"Tile locations have shape {places.shape}; due is (N, 2), x and y.")
        if batch_size < 1 or ahead < 1 or (workers is not None and workers < 1):
            raise UserError(
                f"batch_size {batch_size}, workers {workers} and ahead {ahead} are due to be "
                "1 or more."
            )
        self.locations: Indices = places.astype(np.int64)
        self.batch_size = batch_size
        self.failures: list[TileReadError] = []
        self._sampler = TileSampler(slide, size, pixels)
        self._workers = workers or min(8, os.cpu_count() or 1)
        self._ahead = max(ahead, self._workers)
        self._skips = on_bad_tile == "skip"
        self._transform = transform
        self._blocks = _make_blocks(self._sampler, self.locations)

    def __len__(self) -> int:
        """Return the number of batches if no tile is bad."""
        return -(-len(self.locations) // self.batch_size)

    def __iter__(self) -> Iterator[TileBatch]:
        """Give the batches; closing the iterator stops the threads before their next tiles."""
        self.failures = []
        stop = threading.Event()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="medssl tiles")
        try:
            yield from self._cut(self._read_ahead(pool, stop))
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _read_ahead(self, pool: ThreadPoolExecutor, stop: threading.Event) -> Iterator[_Block]:
        """Give the blocks in their order, with the next ones under way."""
        waiting = iter(self._blocks)
        under_way: deque[Future[_Block]] = deque()
        for _ in range(self._ahead):
            self._start_next(pool, waiting, under_way, stop)
        while under_way:
            block = under_way.popleft().result()
            self._start_next(pool, waiting, under_way, stop)
            self.failures.extend(block.failures)
            yield block

    def _start_next(
        self,
        pool: ThreadPoolExecutor,
        waiting: Iterator[Indices],
        under_way: deque[Future[_Block]],
        stop: threading.Event,
    ) -> None:
        index = next(waiting, None)
        if index is not None:
            under_way.append(pool.submit(self._read_block, index, stop))

    def _read_block(self, index: Indices, stop: threading.Event) -> _Block:
        """Read the tiles of one block together; one by one if some of them are bad."""
        if stop.is_set():
            return _Block(index[:0], self._empty())
        try:
            block = _Block(index, self._sampler.read(self._places(index)))
        except SlideReadError:
            block = self._read_singly(index, stop)
        if self._transform is None:
            return block
        return replace(block, pixels=self._transform(block.pixels))

    def _read_singly(self, index: Indices, stop: threading.Event) -> _Block:
        good, tiles, failures = [], [self._empty()], []
        for number, place in zip(index.tolist(), self._places(index), strict=True):
            if stop.is_set():
                break
            try:
                tiles.append(self._sampler.read([place]))
                good.append(number)
            except SlideReadError as error:
                failure = TileReadError(error, place, number)
                if not self._skips:
                    raise failure from error
                failures.append(failure)
        return _Block(np.array(good, np.int64), np.concatenate(tiles), tuple(failures))

    def _cut(self, blocks: Iterator[_Block]) -> Iterator[TileBatch]:
        """Cut blocks into batches."""
        held: list[_Block] = []
        count = 0
        for block in blocks:
            held.append(block)
            count += len(block.index)
            while count >= self.batch_size:
                yield self._take(held, self.batch_size)
                count -= self.batch_size
        if count:
            yield self._take(held, count)

    def _take(self, held: list[_Block], count: int) -> TileBatch:
        """Take the first `count` tiles out of `held`."""
        taken: list[_Block] = []
        while count:
            first = held.pop(0)
            if len(first.index) > count:
                held.insert(0, _Block(first.index[count:], first.pixels[count:]))
                first = _Block(first.index[:count], first.pixels[:count])
            taken.append(first)
            count -= len(first.index)
        index = np.concatenate([part.index for part in taken])
        parts = [part.pixels for part in taken]
        pixels = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return TileBatch(pixels, self.locations[index], index)

    def _places(self, index: Indices) -> list[tuple[int, int]]:
        return [(x, y) for x, y in self.locations[index].tolist()]

    def _empty(self) -> Tiles:
        side = self._sampler.pixels
        return np.empty((0, side, side, 3), np.uint8)


def _make_blocks(sampler: TileSampler, locations: Indices) -> list[Indices]:
    """Return the places in the request, a block at a time, in the order of the file."""
    if not len(locations):
        return []
    window = sampler.window_pixels
    most = max(1, _BLOCK_BYTES // (3 * window * window))
    # Upright rectangles that hold about that many tiles side by side, from left to right: what two
    # neighbours share is still in the slide's cache, what lies under two rows of them is not.
    down = max(1, round((_UPRIGHT * most) ** 0.5))
    across = max(1, most // down)
    middle = locations + sampler.size // 2
    block = middle // (np.array([across, down]) * sampler.size)
    order = np.lexsort((locations[:, 0], locations[:, 1], block[:, 0], block[:, 1]))
    change = np.any(np.diff(block[order], axis=0) != 0, axis=1)
    groups = np.split(order, np.flatnonzero(change) + 1)
    return [group[start : start + most] for group in groups for start in range(0, len(group), most)]
