"""Decoded tiles of slides, kept under a limit of bytes and decoded by a pool of threads.

A view (a canvas, an overview, a thumbnail) asks for a rectangle with `TileCache.request`. A newer
request of the same view takes the place of the older one: what only the older one wanted is not
decoded any more. Tiles go to the threads in batches, since handing them out one by one costs as
much as decoding them.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache

import numpy as np

from napari_medssl.io.slides.byte_lru import ByteLru
from napari_medssl.io.slides.protocol import Pixels, Slide, SlideReadError
from napari_medssl.io.slides.tile_request import TileKey, TileRequest, grid_size

logger = logging.getLogger(__name__)

_BATCH = 8
_BATCH_BYTES = 2**25
_BAD_GREY = 160  # neither tissue nor glass: a hole that is seen
_BAD_FOR_S = 5.0  # then it is tried again: a disk may be plugged in, a server be back
_DEFAULT_BYTES = 512 * 2**20


OnFailure = Callable[[Slide, SlideReadError], None]


class TileCache:
    """Tiles of any number of slides; safe to use from several threads.

    Parameters
    ----------
    limit_bytes
        Memory for decoded tiles.
    workers
        Threads that decode; by default one for each core, at most 8.
    on_failure
        Called, in a thread of the pool, with the error of each tile that cannot be read. Such a
        tile is grey in what `read` and `request` give; asked for again some seconds later, it is
        read again. `listen` adds more.
    """

    def __init__(
        self,
        limit_bytes: int = _DEFAULT_BYTES,
        *,
        workers: int | None = None,
        on_failure: OnFailure | None = None,
    ) -> None:
        self._tiles: ByteLru[TileKey] = ByteLru(limit_bytes)
        self._workers = workers or min(8, os.cpu_count() or 1)
        self._listeners = [on_failure] if on_failure is not None else []
        self._pool = ThreadPoolExecutor(self._workers, "tiles")
        # Again by its own thread: a future that is cancelled calls back at once.
        self._lock = threading.RLock()
        self._running = 0
        self._queue: OrderedDict[TileKey, list[TileRequest]] = OrderedDict()
        self._decoding: dict[TileKey, list[TileRequest]] = {}
        self._views: dict[Hashable, TileRequest] = {}
        self._numbers: weakref.WeakKeyDictionary[Slide, int] = weakref.WeakKeyDictionary()
        self._next_number = itertools.count()
        self._bad_until: dict[TileKey, float] = {}

    @property
    def size_bytes(self) -> int:
        """Memory that decoded tiles take now."""
        return self._tiles.size_bytes

    def listen(self, on_failure: OnFailure) -> None:
        """Call `on_failure` too, in a thread of the pool, for each tile that cannot be read."""
        self._listeners.append(on_failure)

    def unlisten(self, on_failure: OnFailure) -> None:
        """Call `on_failure` no more; it need not be known."""
        with suppress(ValueError):
            self._listeners.remove(on_failure)

    def read(
        self, slide: Slide, level: int, corner: tuple[int, int], size: tuple[int, int]
    ) -> Pixels:
        """Return a rectangle as `Slide.read_pixels` does, and wait for it.

        Raises
        ------
        UserError
            If the slide is closed.
        """
        return self._start(TileRequest(slide, level, corner, size)).result()

    def request(
        self,
        view: Hashable,
        slide: Slide,
        level: int,
        corner: tuple[int, int],
        size: tuple[int, int],
    ) -> Future[Pixels]:
        """Ask for a rectangle; the result comes later.

        Parameters
        ----------
        view
            Who asks: an unfinished older request of the same view is cancelled, and its future
            with it.
        slide, level, corner, size
            As for `Slide.read_pixels`.
        """
        request = TileRequest(slide, level, corner, size)
        self.cancel(view)
        with self._lock:
            self._views[view] = request
        request.future.add_done_callback(lambda _: self._leave(view, request))
        return self._start(request)

    def cancel(self, view: Hashable) -> None:
        """Drop the unfinished request of a view, if there is one."""
        with self._lock:
            old = self._views.pop(view, None)
            if old is None or old.future.done():
                return
            old.future.cancel()
            for key in old.missing:
                waiting = self._queue.get(key)
                if waiting is not None and old in waiting:
                    waiting.remove(old)
                    if not waiting:
                        del self._queue[key]

    def forget(self, slide: Slide) -> None:
        """Let go of the tiles of a slide, such as before it is closed."""
        with self._lock:
            number = self._numbers.pop(slide, None)
        if number is not None:
            self._tiles.drop(lambda key: key.slide == number)
            self._bad_until = {k: t for k, t in self._bad_until.items() if k.slide != number}

    def close(self) -> None:
        """Stop the threads after what they are decoding; unfinished requests are cancelled."""
        with self._lock:
            for request in {r for waiting in self._queue.values() for r in waiting}:
                request.future.cancel()
            self._queue.clear()
        self._pool.shutdown(wait=True)
        self._tiles.clear()

    def _leave(self, view: Hashable, request: TileRequest) -> None:
        with self._lock:
            if self._views.get(view) is request:
                del self._views[view]

    def _start(self, request: TileRequest) -> Future[Pixels]:
        with self._lock:
            number = self._numbers.get(request.slide)
            if number is None:
                number = self._numbers[request.slide] = next(self._next_number)
            for key in request.keys(number):
                kept = None if self._is_to_be_tried(key) else self._tiles.get(key)
                if kept is not None:
                    request.tiles[key] = kept
                    continue
                request.missing.add(key)
                if key in self._decoding:
                    self._decoding[key].append(request)
                else:
                    self._queue.setdefault(key, []).append(request)
            is_ready = not request.missing
            wanted = min(self._workers - self._running, -(-len(self._queue) // _BATCH))
            self._running += wanted
        for _ in range(wanted):
            self._pool.submit(self._work)
        if is_ready:
            request.finish()
        return request.future

    def _is_to_be_tried(self, key: TileKey) -> bool:
        """Tell whether what is kept of a tile stands in for one that may be readable by now."""
        until = self._bad_until.get(key)
        return until is not None and time.monotonic() > until

    def _work(self) -> None:
        """Decode batches until nothing is wanted any more; runs in a thread of the pool."""
        while True:
            batch = self._take()
            if not batch:
                return
            slide = next(iter(batch.values()))[0].slide
            try:
                with self._lock:
                    for key in batch:
                        self._bad_until.pop(key, None)
                tiles = self._decode(slide, list(batch))
            except BaseException as error:
                self._fail(batch, error)
            else:
                self._deliver(batch, tiles)

    def _take(self) -> dict[TileKey, list[TileRequest]]:
        """Take the tiles wanted first, and more of the same level; none: the thread may end."""
        with self._lock:
            first = next(iter(self._queue), None)
            if first is None:
                self._running -= 1
                return {}
            alike = (key for key in self._queue if key[:2] == first[:2])
            # No more than a fair share: the other threads wait for work too.
            grid = self._queue[first][0].grid
            most = min(_BATCH, _BATCH_BYTES // (grid[0] * grid[1] * 3))
            share = max(1, min(most, -(-len(self._queue) // self._workers)))
            chosen = list(itertools.islice(alike, share))
            batch = {key: self._queue.pop(key) for key in chosen}
            self._decoding.update(batch)
            return batch

    def _decode(self, slide: Slide, keys: list[TileKey]) -> list[Pixels]:
        level = keys[0].level
        size = grid_size(slide, level)
        corners = [(key.column * size[0], key.row * size[1]) for key in keys]
        try:
            # Copies: a tile that is kept must not keep its whole batch.
            return [tile.copy() for tile in slide.read_many(level, corners, size)]
        except SlideReadError:
            return [
                self._decode_alone(slide, key, corner, size)
                for key, corner in zip(keys, corners, strict=True)
            ]

    def _decode_alone(
        self, slide: Slide, key: TileKey, corner: tuple[int, int], size: tuple[int, int]
    ) -> Pixels:
        try:
            return slide.read_pixels(key.level, corner, size)
        except SlideReadError as error:
            logger.warning("%s", error)
            with self._lock:
                self._bad_until[key] = time.monotonic() + _BAD_FOR_S
            for tell in list(self._listeners):
                tell(slide, error)
            return np.full((size[1], size[0], 3), _BAD_GREY, np.uint8)

    def _deliver(self, batch: dict[TileKey, list[TileRequest]], tiles: list[Pixels]) -> None:
        done: list[TileRequest] = []
        for key, tile in zip(batch, tiles, strict=True):
            self._tiles.put(key, tile)
            with self._lock:
                for request in self._decoding.pop(key):
                    request.tiles[key] = tile
                    request.missing.discard(key)
                    if not request.missing:
                        done.append(request)
        for request in done:
            request.finish()

    def _fail(self, batch: dict[TileKey, list[TileRequest]], error: BaseException) -> None:
        with self._lock:
            waiting = {request for key in batch for request in self._decoding.pop(key, ())}
        for request in waiting:
            with suppress(InvalidStateError, CancelledError):
                request.future.set_exception(error)


@lru_cache(maxsize=1)
def shared_cache() -> TileCache:
    """Return the cache that all views of this process share."""
    return TileCache()
