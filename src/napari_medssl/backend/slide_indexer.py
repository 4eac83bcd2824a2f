"""Embed slides one after the other into a collection of a locked library."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import Encoder
from napari_medssl.backend.index_config import IndexConfig, IndexReport
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop
from napari_medssl.backend.patients import Patients
from napari_medssl.backend.tile_stream import ShardBatch, TileForm, stream_shards
from napari_medssl.backend.tiles import TilesConfig, plan_tiles, slide_mpp
from napari_medssl.index.arrays import SHARD_ROWS, TILE, TileRows, shard_rows
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.index.slide_record import SlideRecord, read_manifest, update_manifest
from napari_medssl.index.slide_writer import SlideWriter, remove_folder
from napari_medssl.index.tile_order import compact_order, nearest_shards
from napari_medssl.io.slide_store.errors import DiskFullError
from napari_medssl.io.slides import Slide, open_slide
from napari_medssl.io.slides.places import local_path
from napari_medssl.io.stain import Reinhard, fit_slide_stain
from napari_medssl.io.tile_table import TileSource, TileTable
from napari_medssl.io.tiles import TileReadError

Towards = Callable[[], tuple[float, float] | None]
"""Gives a level-0 point of the slide that is indexed, such as the middle of what a person looks at:
the tiles near it come next. None leaves the order. Called in a thread, before each shard."""


@dataclass(frozen=True, slots=True)
class IndexJob:
    """What slides are indexed with: encoder, config, whose they are, and whom to ask and tell."""

    encoder: Encoder
    config: IndexConfig
    patients: Patients
    towards: Towards
    on_progress: OnProgress
    should_stop: ShouldStop


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
        self._known = {
            manifest.record.path: fingerprint
            for fingerprint, manifest in collection.manifests()[0].items()
        }

    def add_all(self, slides: Sequence[str]) -> None:
        """Index slides; what one of them fails for is in the report.

        Raises
        ------
        Cancelled
            If it was asked to stop.
        """
        self._tell_mismatch()
        for number, slide in enumerate(slides):
            if not self._add_one(slide, len(slides) - number):
                break

    def _tell_mismatch(self) -> None:
        """Remark on slides of the library that were made by another set-up of the same encoder."""
        info = self._encoder.info
        library = Library(self._collection.folder.parent)
        others = [
            one.set_up
            for one in library.collections
            if one.set_up.encoder == info.name and one.set_up.sha256 != info.sha256
        ]
        if others and not self._collection.fingerprints():
            self.report.remarks.append(
                f"The library holds embeddings of another encoder {info.name!r} (other weights, "
                f"in {others[0].name!r}); the slides are indexed beside them."
            )

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
        fingerprint = slide.fingerprint
        place = slide.source or path
        patient = self._job.patients.of(place)
        folder = self._collection.slide_folder(fingerprint)
        if folder.is_dir() and not self._config.reindex:
            manifest = read_manifest(folder)
            # Of two copies the first one counts, as long as it is there.
            kept = manifest.record.path if _is_there(manifest.record.path) else place
            update_manifest(folder, manifest, kept, patient or manifest.record.patient)
            self.report.skipped.append(path)
            return
        former = self._known.get(place)
        if former not in (None, fingerprint) and not self._config.reindex:
            raise UserError(
                f"{slide.name!r} is another slide than the one that was indexed from this path. "
                "Give --reindex to put this one in its place, or put the former file back."
            )
        record = SlideRecord(fingerprint, place, patient, slide.dimensions)
        self._write(slide, record, slides_left)
        if former not in (None, fingerprint):
            remove_folder(self._collection.slide_folder(str(former)))
        self._known[place] = fingerprint
        self.report.indexed.append(path)

    def _write(self, slide: Slide, record: SlideRecord, slides_left: int) -> None:
        tiling = self._tiling
        record = replace(record, mpp=slide_mpp(slide, tiling))

        def find_tiles() -> TileRows:
            self._tell(0, None, 1, "looking for tissue")
            plan = plan_tiles(slide, tiling, should_stop=self._should_stop)
            self.report.remarks += plan.remarks
            return _ordered(plan.table)

        folder = self._collection.slide_folder(record.fingerprint)
        with SlideWriter(folder, record, self._collection.set_up, find_tiles) as writer:
            if not len(writer.tiles):
                self.report.remarks.append(f"{slide.name!r} shows no tissue: no tile is indexed.")
            self._embed(slide, writer, slides_left, record.mpp)
            writer.finish()
        self._done += len(writer.tiles)
        self._finished += 1

    @property
    def _tiling(self) -> TilesConfig:
        set_up = self._collection.set_up
        return TilesConfig(
            mpp=set_up.mpp,
            size=set_up.size,
            overlap=set_up.overlap,
            min_tissue=set_up.min_tissue,
            blur=False,
            slide_mpp=self._config.slide_mpp,
        )

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
            rows = tiles[shard_rows(shard, len(tiles))]
            return shard, np.stack([rows["x"], rows["y"]], axis=1).astype(np.int64)

        form = TileForm(
            int(tiles["size"][0]),
            self._encoder.info.pixels,
            self._config.batch,
            self._look(slide, tiles, mpp),
        )
        stream = stream_shards(slide, form, next_shard)
        try:
            self._take(stream, writer, slides_left)
        finally:
            stream.close()  # ends the thread now

    def _take(self, stream: Iterable[ShardBatch], writer: SlideWriter, slides_left: int) -> None:
        total = len(writer.tiles)
        done = writer.done_tiles
        held = np.zeros((SHARD_ROWS, self._encoder.info.dim), np.float32)
        self._tell(done, total, slides_left)
        for batch in stream:
            if self._should_stop():
                raise Cancelled(
                    f"Stopped after {writer.done_tiles} of {total} tiles of "
                    f"{Path(self._message).name!r}, {self._finished} slides finished before it. "
                    "Give the same command again; it goes on there."
                )
            if batch.tiles is None:
                rows = shard_rows(batch.shard, total)
                writer.write(batch.shard, held[: rows.stop - rows.start])
                held[:] = 0  # a tile that cannot be read stays so
                self._note_failures(batch.failures)
                continue
            held[batch.tiles.index] = self._encoder.embed(batch.tiles.pixels)
            done += len(batch.tiles.index)
            self.report.tiles += len(batch.tiles.index)
            self._tell(done, total, slides_left)

    def _note_failures(self, failures: Sequence[TileReadError]) -> None:
        self.report.failures += [(self._message, str(failure)) for failure in failures]

    def _look(self, slide: Slide, tiles: TileRows, mpp: float) -> Reinhard | None:
        """Return what gives this slide's tiles the colours that the encoder wants."""
        set_up = self._collection.set_up
        if not set_up.stain:
            return None
        size = int(tiles["size"][0])
        source = TileSource(slide.fingerprint, mpp, mpp * size / set_up.pixels, set_up.pixels)
        locations = np.stack([tiles["x"], tiles["y"]], axis=1).astype(np.int64)
        blur = np.full(len(tiles), np.nan, np.float32)
        table = TileTable(locations, size, tiles["tissue"], blur, source)
        return Reinhard(fit_slide_stain(slide, table), set_up.stain)

    def _tell(self, done: int, total: int | None, slides_left: int, words: str = "") -> None:
        """Report tiles of all slides; those not opened yet count as the mean of the others."""
        if total is None:
            self._job.on_progress(Progress(self._done, None, f"{self._message}: {words}"))
            return
        mean = (self._done + total) / (self._finished + 1)
        due = self._done + total + round(mean * (slides_left - 1))
        self._job.on_progress(Progress(self._done + done, due, self._message))


def _is_there(place: str) -> bool:
    path = local_path(place)
    try:
        return path is None or path.exists()
    except (OSError, ValueError):
        return False


def _ordered(table: TileTable) -> TileRows:
    """Return a table as rows in the order of `index.tile_order`."""
    order = compact_order(table.locations, table.size)
    rows = np.zeros(len(order), TILE)
    rows["x"], rows["y"] = table.locations[order].T
    rows["size"] = table.size
    rows["tissue"] = table.tissue[order]
    return rows
