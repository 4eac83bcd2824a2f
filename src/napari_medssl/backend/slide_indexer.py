"""Embed slides one after the other into a collection of a locked library."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import Encoder
from napari_medssl.backend.index_config import IndexConfig, IndexReport
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop
from napari_medssl.backend.library_place import WrittenLibrary
from napari_medssl.backend.patients import Patients
from napari_medssl.backend.shard_encoder import (
    corners,
    encode_shards,
    find_tile_rows,
    fit_look,
    tiling_of,
)
from napari_medssl.backend.slide_intake import SlideIntake
from napari_medssl.backend.tile_stream import TileForm
from napari_medssl.backend.tiles import slide_mpp
from napari_medssl.index.arrays import TileRows, shard_rows
from napari_medssl.index.library import CollectionFolder
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.index.slide_writer import SlideWriter
from napari_medssl.index.tile_order import nearest_shards
from napari_medssl.io.slide_store.errors import DiskFullError
from napari_medssl.io.slides import Slide, open_slide
from napari_medssl.io.stain import Reinhard

Towards = Callable[[], tuple[float, float] | None]
"""Gives a level-0 point of the slide that is indexed, such as the middle of what a person looks at:
the tiles near it come next. None leaves the order. Called in a thread, before each shard."""


@dataclass(frozen=True, slots=True)
class IndexJob:
    """What slides are indexed with, whom to ask and tell, and the library."""

    encoder: Encoder
    config: IndexConfig
    patients: Patients
    towards: Towards
    on_progress: OnProgress
    should_stop: ShouldStop
    library: WrittenLibrary


class SlideIndexer:
    """Adds slides to one collection, whose library is locked."""

    def __init__(self, collection: CollectionFolder, job: IndexJob, report: IndexReport) -> None:
        self._collection, self._job = collection, job
        self._encoder, self._config = job.encoder, job.config
        self._should_stop = job.should_stop
        self.report = report
        self._done = 0  # tiles of this run and those that it found
        self._finished = 0  # slides
        self._message = ""
        self._intake = SlideIntake(collection, job.library, job.config, job.patients, report)

    def add_all(self, slides: Sequence[str]) -> None:
        """Index slides; what one of them fails for is in the report.

        Raises
        ------
        Cancelled
            If it was asked to stop.
        """
        self._intake.tell_mismatch(self._encoder.info)
        for number, slide in enumerate(slides):
            if not self._add_one(slide, len(slides) - number):
                break

    def _add_one(self, path: str, slides_left: int) -> bool:
        """Index a slide; say whether to go on with the next."""
        self._message = Path(path).name
        try:
            with open_slide(path) as slide:
                self._add(slide, path, slides_left)
        except DiskFullError as error:
            self.report.failures.append((path, str(error)))
            return False  # the next one would not fit either
        except UserError as error:
            self.report.failures.append((path, str(error)))
        return True

    def _add(self, slide: Slide, path: str, slides_left: int) -> None:
        seen = SlideRecord(slide.fingerprint, slide.source or path, dimensions=slide.dimensions)
        record = self._intake.admit(seen, slide.name, path)
        if record is not None:
            self._write(slide, record, slides_left)
            self._intake.settle(record, path)

    def _write(self, slide: Slide, record: SlideRecord, slides_left: int) -> None:
        tiling = tiling_of(self._collection.set_up, self._config.slide_mpp)
        record = replace(record, mpp=slide_mpp(slide, tiling))

        def find_tiles() -> TileRows:
            self._tell(0, None, 1, "looking for tissue")
            tiles, remarks = find_tile_rows(slide, tiling, should_stop=self._should_stop)
            self.report.remarks += remarks
            return tiles

        folder = self._collection.slide_folder(record.fingerprint)
        with SlideWriter(folder, record, self._collection.set_up, find_tiles) as writer:
            self._embed(slide, writer, slides_left, record.mpp)
            writer.finish()
        self._done += len(writer.tiles)
        self._finished += 1

    def _embed(self, slide: Slide, writer: SlideWriter, slides_left: int, mpp: float) -> None:
        """Embed the shards that are missing, the nearest to where a person looks first."""
        todo = list(writer.todo)
        if not todo:
            return
        tiles, lock = writer.tiles, threading.Lock()

        def next_shard() -> tuple[int, NDArray[np.int64]] | None:
            with lock:
                if not todo:
                    return None
                point = self._job.towards()
                shard = todo[0] if point is None else nearest_shards(tiles, todo, point)[0]
                todo.remove(shard)
            return shard, corners(tiles[shard_rows(shard, len(tiles))])

        total, done = len(tiles), writer.done_tiles

        def on_batch(count: int) -> None:
            nonlocal done
            done += count
            self.report.tiles += count
            self._tell(done, total, slides_left)

        self._tell(done, total, slides_left)
        encoded = encode_shards(
            slide,
            self._encoder,
            self._form(slide, tiles, mpp),
            next_shard,
            on_batch=on_batch,
            should_stop=self._should_stop,
        )
        try:
            for one in encoded:
                writer.write(one.shard, np.asarray(one.embeddings, np.float32))
                self.report.failures += [(self._message, failure) for failure in one.failures]
        except Cancelled:
            raise Cancelled(
                f"Stopped after {writer.done_tiles} of {total} tiles of "
                f"{Path(self._message).name!r}, {self._finished} slides finished before it. "
                "Give the same command again; it goes on there."
            ) from None
        finally:
            encoded.close()  # ends the thread now

    def _form(self, slide: Slide, tiles: TileRows, mpp: float) -> TileForm:
        """Return how the tiles of a slide are read, in the colours that the encoder wants."""
        set_up = self._collection.set_up
        stain = fit_look(slide, set_up, tiles, mpp)
        look = None if stain is None else Reinhard(stain, set_up.stain)
        return TileForm(int(tiles["size"][0]), self._encoder.info.pixels, self._config.batch, look)

    def _tell(self, done: int, total: int | None, slides_left: int, words: str = "") -> None:
        """Report tiles of all slides; those not opened yet count as the mean of the others."""
        if total is None:
            self._job.on_progress(Progress(self._done, None, f"{self._message}: {words}"))
            return
        mean = (self._done + total) / (self._finished + 1)
        due = self._done + total + round(mean * (slides_left - 1))
        self._job.on_progress(Progress(self._done + done, due, self._message))
