"""Bring the flat cache of a collection up to date with its slides."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.index.arrays import (
    SHARD_ROWS,
    TILE,
    Half,
    TileRows,
    read_embedding_rows,
    read_tile_rows,
)
from napari_medssl.index.flat import (
    ABOUT,
    CACHE,
    FORMAT,
    Flat,
    Segment,
    read_flat,
    tiles_file,
    vectors_file,
)
from napari_medssl.index.library import CollectionFolder
from napari_medssl.index.slide_record import SlideManifest
from napari_medssl.io.file_lock import FileLock, LockHeldError
from napari_medssl.io.files import write_whole
from napari_medssl.io.slide_store.verify import check_files

OnSlide = Callable[[int, int], None]
"""Called with how many new slides are in the cache and how many there are."""

_MOST_GONE = 0.2
_BLOCK_ROWS = 64 * SHARD_ROWS
_WAIT_S = 30.0


def open_flat(
    collection: CollectionFolder,
    manifests: Mapping[str, SlideManifest],
    *,
    on_slide: OnSlide = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Flat, tuple[tuple[str, str], ...]]:
    """Return the flat cache, brought up to date, and `(fingerprint, reason)` of what is damaged.

    Where the disk takes no cache, it is made in memory. Told to stop, it returns what it has.

    Parameters
    ----------
    collection
        Where the slides are.
    manifests
        The slides that are due, by fingerprint.
    on_slide, should_stop
        Called and asked for each slide that is read.
    """
    folder = collection.folder / CACHE
    dim = collection.set_up.dim
    found = read_flat(folder, dim)
    if found is not None and not _is_stale(found, manifests):
        return found, ()
    update = _Update(collection, manifests, on_slide, should_stop)
    try:
        folder.mkdir(exist_ok=True)
        with _cache_lock(folder):
            found = read_flat(folder, dim)  # another process may have brought it up to date
            if found is None or _is_stale(found, manifests):
                update.on_disk(folder, found)
                found = read_flat(folder, dim)
            if found is not None:
                return found, tuple(update.problems)
    except (OSError, UserError):
        update = _Update(collection, manifests, on_slide, should_stop)
    return update.in_memory(), tuple(update.problems)


class _Update:
    """Reads the slides that a cache lacks."""

    def __init__(
        self,
        collection: CollectionFolder,
        manifests: Mapping[str, SlideManifest],
        on_slide: OnSlide,
        should_stop: Callable[[], bool],
    ) -> None:
        self.problems: list[tuple[str, str]] = []
        self._collection, self._manifests = collection, manifests
        self._on_slide, self._should_stop = on_slide, should_stop

    def on_disk(self, folder: Path, found: Flat | None) -> None:
        """Append to the cache, or begin a new generation of it."""
        marked = () if found is None else _marked(found.segments, self._manifests)
        rows = sum(one.rows for one in marked)
        gone = sum(one.rows for one in marked if one.is_gone)
        if found is None or gone > _MOST_GONE * rows:
            generation = _newest(folder) + 1
            kept, segments = self._kept(found), []
        else:
            generation, kept, segments = found.generation, iter(()), list(marked)
        mode = "wb" if found is None or generation != found.generation else "rb+"
        start = sum(one.rows for one in segments)
        with (
            vectors_file(folder, generation).open(mode) as vectors,
            tiles_file(folder, generation).open(mode) as tiles,
        ):
            _cut(vectors, start * 2 * self._collection.set_up.dim)
            _cut(tiles, start * TILE.itemsize)
            for segment, half, table in kept:
                vectors.write(half.tobytes())
                tiles.write(table.tobytes())
                segments.append(replace(segment, start=start))
                start += segment.rows
            for segment in self._append(segments, start, vectors, tiles):
                segments.append(segment)
            for stream in (vectors, tiles):
                _flush(stream)
        content = {
            "format": FORMAT,
            "dim": self._collection.set_up.dim,
            "generation": generation,
            "segments": [asdict(one) for one in segments],
        }
        write_whole(folder / ABOUT, json.dumps(content))
        _delete_others(folder, generation)

    def in_memory(self) -> Flat:
        """Return the whole cache in memory."""
        segments, halves, tables = [], [], []
        start = 0
        for fingerprint, manifest in self._due(()):
            half, table = self._read_slide(fingerprint, manifest)
            if half is None or table is None:
                continue
            segments.append(Segment(fingerprint, manifest.content, start, len(half)))
            halves.append(half)
            tables.append(table)
            start += len(half)
        dim = self._collection.set_up.dim
        vectors = np.concatenate([np.empty((0, dim), np.float16), *halves])
        return Flat(vectors, np.concatenate([np.empty(0, TILE), *tables]), tuple(segments), -1)

    def _kept(self, found: Flat | None) -> Iterator[tuple[Segment, Half, TileRows]]:
        """Give what stays of the former generation."""
        if found is None:
            return
        for one in _marked(found.segments, self._manifests):
            if not one.is_gone:
                rows = slice(one.start, one.start + one.rows)
                yield one, found.vectors[rows], found.tiles[rows]

    def _append(
        self, segments: list[Segment], start: int, vectors: IO[bytes], tiles: IO[bytes]
    ) -> Iterator[Segment]:
        for fingerprint, manifest in self._due(segments):
            half, table = self._read_slide(fingerprint, manifest)
            if half is None or table is None:
                continue
            vectors.write(half.tobytes())
            tiles.write(table.tobytes())
            yield Segment(fingerprint, manifest.content, start, len(half))
            start += len(half)

    def _due(
        self, segments: tuple[Segment, ...] | list[Segment]
    ) -> Iterator[tuple[str, SlideManifest]]:
        """Give the slides that no segment holds."""
        there = {one.slide for one in segments if not one.is_gone}
        due = [item for item in self._manifests.items() if item[0] not in there]
        for done, item in enumerate(due):
            if self._should_stop():
                return
            self._on_slide(done, len(due))
            yield item
        self._on_slide(len(due), len(due))

    def _read_slide(
        self, fingerprint: str, manifest: SlideManifest
    ) -> tuple[Half | None, TileRows | None]:
        """Return embeddings and tiles of a slide after comparing every file with its hash."""
        folder = self._collection.slide_folder(fingerprint)
        rows, dim = manifest.record.tiles, self._collection.set_up.dim
        bad = check_files(folder, manifest.files, lambda done, total: None, lambda: False, 2)
        try:
            if bad:
                raise ValueError(f"{bad[0]} is missing or not as it was written")
            tiles = read_tile_rows(folder, rows)
            blocks = [
                read_embedding_rows(folder, slice(k, min(k + _BLOCK_ROWS, rows)), (rows, dim))
                for k in range(0, rows, _BLOCK_ROWS)
            ]
        except ValueError as error:
            if folder.is_dir():  # else it was removed a moment ago
                reason = (
                    f"Indexed slide {Path(manifest.record.path).name!r} is damaged ({error}); it "
                    "is left out of the search. Index that slide again with --reindex."
                )
                self.problems.append((fingerprint, reason))
            return None, None
        half = np.concatenate([np.empty((0, dim), np.float16), *blocks])
        is_read = half.any(axis=1)
        return half[is_read], tiles[is_read]


def _marked(
    segments: tuple[Segment, ...], manifests: Mapping[str, SlideManifest]
) -> tuple[Segment, ...]:
    """Return the segments with those marked whose slide left or is another one now."""
    return tuple(
        replace(one, is_gone=one.is_gone or not _is_due(one, manifests)) for one in segments
    )


def _is_due(segment: Segment, manifests: Mapping[str, SlideManifest]) -> bool:
    manifest = manifests.get(segment.slide)
    return manifest is not None and manifest.content == segment.content


def _is_stale(flat: Flat, manifests: Mapping[str, SlideManifest]) -> bool:
    marked = _marked(flat.segments, manifests)
    there = {one.slide for one in marked if not one.is_gone}
    return marked != flat.segments or there != set(manifests)


@contextmanager
def _cache_lock(folder: Path) -> Iterator[None]:
    """Hold the cache; wait while another process makes it."""
    end = time.monotonic() + _WAIT_S
    while True:
        try:
            lock = FileLock(folder / "lock")
            break
        except LockHeldError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    try:
        yield
    finally:
        lock.release()


def _cut(stream: IO[bytes], size: int) -> None:
    """Go to `size`; what lies behind it was left by a kill."""
    if stream.seek(0, os.SEEK_END) > size:
        stream.truncate(size)
    stream.seek(size)


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _newest(folder: Path) -> int:
    numbers = [path.stem.partition("-")[2] for path in folder.glob("vectors-*.f16")]
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def _delete_others(folder: Path, generation: int) -> None:
    """Delete former generations; where another process still reads one, it stays until later."""
    kept = {vectors_file(folder, generation), tiles_file(folder, generation)}
    for path in (*folder.glob("vectors-*.f16"), *folder.glob("tiles-*.bin")):
        if path not in kept:
            with suppress(OSError):
                path.unlink()
