"""Write a slide as an OME-Zarr store that is either whole or not there.

Shards go to `X.ome.zarr.partial`, each written whole, flushed, and noted in a journal with its
hash. At the end every file is read back and compared, the manifest is written, and the folder
gets its name. Stopped or killed, the same call goes on; the result has the same bytes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.file_lock import FileLock, LockHeldError
from napari_medssl.io.files import write_whole
from napari_medssl.io.slide_store.errors import ConversionStopped, disk_errors_told
from napari_medssl.io.slide_store.journal import Receipt, StoreJournal
from napari_medssl.io.slide_store.partial import Partial
from napari_medssl.io.slide_store.placing import check_finished, check_place
from napari_medssl.io.slide_store.plan import SHARD, FindTissue, Shard, StoreSettings
from napari_medssl.io.slide_store.pyramid import Pyramid, steps
from napari_medssl.io.slide_store.shard_codec import check_codec, decode_shard, encode_shard
from napari_medssl.io.slide_store.source import SlideSource
from napari_medssl.io.slide_store.space import check_space
from napari_medssl.io.slides.protocol import Pixels, Slide

_MOST_THREADS = 8  # each holds a shard: 12 MB of pixels, and as much again while it is read


@dataclass(frozen=True, slots=True)
class Step:
    """How far a conversion is: shards of all levels, and level-0 bytes (RGB) read by this run."""

    done: int
    total: int
    rgb_bytes: int
    seconds: float
    what: str = "converting"


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What a conversion came to.

    Attributes
    ----------
    was_finished
        Whether the store was there already; then nothing was written.
    resumed
        Shards that an earlier run had written.
    left_out
        Shards of level 0 that show no tissue and were not written.
    mpp
        Microns per pixel along x and y of the store, None if the slide does not say.
    """

    path: Path
    was_finished: bool
    shards: int = 0
    resumed: int = 0
    left_out: int = 0
    rgb_bytes: int = 0
    seconds: float = 0.0
    mpp: tuple[float, float] | None = None


def write_store(
    slide: Slide,
    out: Path,
    settings: StoreSettings | None = None,
    *,
    find_tissue: FindTissue | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    should_stop: Callable[[], bool] = lambda: False,
    threads: int | None = None,
) -> StoreReport:
    """Convert `slide` to an OME-Zarr 0.5 store at `out`, or go on with it.

    Parameters
    ----------
    slide
        Where the pixels come from.
    out
        Folder that is made; its name ends with ".zarr".
    settings
        Resolution, codec and chunks.
    find_tissue
        Says where tissue is; needed with `settings.tissue_only`.
    on_step
        Called after each shard, from any thread but never from two at once.
    should_stop
        Asked between shards.
    threads
        How many shards are made at once; by default as many as there are cores, at most 8.

    Raises
    ------
    StoreTakenError
        If `out`, or its unfinished store, holds something else.
    UserError
        If the slide cannot be read there, the disk is full, another process is at it, or the
        settings do not fit the slide.
    ConversionStopped
        If `should_stop` said so; the same call goes on.
    """
    settings = settings or StoreSettings()
    check_codec(settings.codec)
    check_place(out)
    source = SlideSource(slide) if settings.mpp is None else SlideSource.at_mpp(slide, settings.mpp)
    if check_finished(out, slide, settings):
        return StoreReport(out, True, mpp=source.mpp)
    with _only_process(out), disk_errors_told(out):
        if check_finished(out, slide, settings):
            return StoreReport(out, True, mpp=source.mpp)
        threads = threads or min(_MOST_THREADS, _core_count())
        partial = Partial(out, source, settings, threads)
        partial.open(find_tissue, on_checked=_checking(on_step), should_stop=should_stop)
        run = _Run(partial, on_step, should_stop)
        run.convert(threads)
        partial.finish(_checking(on_step), should_stop)
        return StoreReport(
            path=out,
            was_finished=False,
            shards=run.total,
            resumed=run.resumed,
            left_out=partial.plan.left_out,
            rgb_bytes=run.rgb_bytes,
            seconds=run.seconds,
            mpp=source.mpp,
        )


class _Run:
    """Makes the shards that an unfinished store lacks."""

    def __init__(
        self, partial: Partial, on_step: Callable[[Step], None], should_stop: Callable[[], bool]
    ) -> None:
        self.partial, self.on_step, self.should_stop = partial, on_step, should_stop
        self.total = partial.plan.count()
        self.resumed = len(partial.receipts)
        self.rgb_bytes = 0
        self._made = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()
        done = frozenset(shard for shard in partial.plan.shards() if shard.key in partial.receipts)
        self._done = done
        self._pyramid = Pyramid(partial.plan, done)

    @property
    def seconds(self) -> float:
        """Time since the run began."""
        return time.monotonic() - self._began

    def convert(self, threads: int) -> None:
        """Make all shards; raise `ConversionStopped` if told to stop before the last one."""
        todo = steps(self.partial.plan, self._done)
        if self.resumed < self.total:
            fresh = [shard for shard in todo if shard not in self._done]
            partial = self.partial
            check_space(partial.folder, partial.source, partial.plan, partial.settings, fresh)
        self._report()
        with StoreJournal(self.partial.folder) as journal:
            self._journal = journal
            self._run_all(todo, threads)
        if self.resumed + self._made < self.total:
            raise ConversionStopped

    def _run_all(self, todo: list[Shard], threads: int) -> None:
        """Work on the shards with so many threads; the first error stops it."""
        waiting = iter(todo)
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(threads, "convert") as pool:
            while True:
                while len(running) < threads and not self.should_stop():
                    shard = next(waiting, None)
                    if shard is None:
                        break
                    running.add(pool.submit(self._take, shard))
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()

    def _take(self, shard: Shard) -> None:
        """Convert a shard, or read back a finished one; then make what is complete below it."""
        if shard in self._done:
            pixels = self._read_back(shard)
        else:
            height, width = self.partial.plan.shape_of(shard)
            pixels = self.partial.source.read(
                shard.column * SHARD, shard.row * SHARD, width, height
            )
            pixels = self._write(shard, pixels)
        ready = self._pyramid.give(shard, pixels)
        while ready is not None:
            shard, pixels = ready
            ready = self._pyramid.give(shard, self._write(shard, pixels))

    def _write(self, shard: Shard, pixels: Pixels) -> Pixels:
        """Put a shard on the disk and note it; return its pixels as a reader will get them."""
        settings = self.partial.settings
        data = encode_shard(pixels, settings.codec, settings.chunk)
        receipt = Receipt.of_bytes(data)
        write_whole(self.partial.folder / shard.key, data)
        self._journal.add(shard.key, receipt)
        with self._lock:
            self.partial.receipts[shard.key] = receipt
            self._made += 1
            if shard.level == 0:
                self.rgb_bytes += pixels.nbytes
            self._report()
        if settings.codec != "lossless" and self._pyramid.wants(shard):
            # Lower levels come from what is stored, so that a resumed run makes the same.
            return decode_shard(data, pixels.shape[:2], settings.codec, settings.chunk)
        return pixels

    def _read_back(self, shard: Shard) -> Pixels:
        settings = self.partial.settings
        data = (self.partial.folder / shard.key).read_bytes()
        shape = self.partial.plan.shape_of(shard)
        return decode_shard(data, shape, settings.codec, settings.chunk)

    def _report(self) -> None:
        done = self.resumed + self._made
        self.on_step(Step(done, self.total, self.rgb_bytes, self.seconds))


@contextmanager
def _only_process(out: Path) -> Iterator[None]:
    """Hold the lock of `out`; the operating system takes it away when this process ends."""
    try:
        lock = FileLock(out.with_name(f"{out.name}.partial.lock"))
    except LockHeldError as error:
        raise UserError(
            f"{out.name!r} is being converted by another program{error.holder}. Wait for it, or "
            "choose another --out."
        ) from error
    except OSError as error:
        raise UserError(
            f"Cannot write in {str(out.parent)!r}: {error.strerror or error}. "
            "Choose an --out in a folder that exists and that you may write to."
        ) from error
    try:
        yield
    finally:
        lock.release(remove=True)


def _checking(on_step: Callable[[Step], None]) -> Callable[[int, int], None]:
    began = time.monotonic()
    return lambda done, total: on_step(Step(done, total, 0, time.monotonic() - began, "checking"))


def _core_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
