"""Index slides on a cluster: the workers find tiles and embed shards, this process alone writes.

A shard is committed when its embeddings have come and are on the disk with a line in the slide's
journal, see `index.slide_writer`; before, it does not count. So a worker that dies costs the shard
it was at, which another one makes anew; a task that Dask runs twice gives the same, and only a
shard that is missing is written. When this process dies, the next run asks for what the journals
lack.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

import numpy as np

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.cluster import Cluster, ClusterPlace, Outcome, connected
from napari_medssl.backend.cluster_work import (
    Run,
    SeenSlide,
    ShardJob,
    SurveyJob,
    UnfitWorkerError,
    embed_shard,
    survey_slide,
)
from napari_medssl.backend.index_config import IndexReport
from napari_medssl.backend.jobs import Cancelled, Progress
from napari_medssl.backend.shard_encoder import EncodedShard, corners
from napari_medssl.backend.slide_indexer import IndexJob
from napari_medssl.backend.slide_intake import SlideIntake
from napari_medssl.index.arrays import shard_rows
from napari_medssl.index.library import CollectionFolder
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.index.slide_writer import SlideWriter
from napari_medssl.io.slide_store.errors import DiskFullError
from napari_medssl.io.slides.places import absolute_file, absolute_place

_POLL_S = 0.2
_AHEAD = 2  # times as many shards are handed out as workers embed at a time: none waits for us
_MOST_OPEN = 256  # slides, each with an open journal


@dataclass(slots=True)
class _OpenSlide:
    """A slide that is being written."""

    path: str
    record: SlideRecord
    seen: SeenSlide
    writer: SlideWriter
    held: ExitStack
    waiting: deque[int] = field(default_factory=deque)  # shards not handed out yet


class ClusterIndexer:
    """Adds slides to one collection, whose library is locked, by the workers of a cluster.

    Parameters
    ----------
    collection
        Where to.
    job
        As for `SlideIndexer`; `towards` is not asked.
    report
        Filled in.
    place
        The cluster.
    """

    def __init__(
        self,
        collection: CollectionFolder,
        job: IndexJob,
        report: IndexReport,
        place: ClusterPlace,
    ) -> None:
        self._collection, self._job, self._place = collection, job, place
        self.report = report
        self._run = Run(f"medssl-{uuid.uuid4().hex[:12]}", __version__, collection.set_up)
        self._intake = SlideIntake(collection, job.library, job.config, job.patients, report)
        self._unseen: deque[str] = deque()
        self._surveys: dict[str, str] = {}  # paths, by key
        self._open: dict[str, _OpenSlide] = {}  # by fingerprint
        self._partly: dict[tuple[str, int], int] = {}  # tiles of shards under way
        self._finished = self._finished_tiles = 0
        self._is_full = False  # the disk

    def add_all(self, slides: Sequence[str]) -> None:
        """Index slides; what one of them fails for is in the report.

        Raises
        ------
        UserError
            If there is no such cluster, it goes away, or a worker would embed otherwise.
        Cancelled
            If it was asked to stop.
        """
        self._job.on_progress(Progress(0, None, f"connecting to {self._place.address}"))
        with connected(self._place, self._run.name) as cluster, ExitStack() as held:
            cluster.check_workers(self._job.should_stop)
            self._intake.tell_mismatch(self._job.encoder.info)
            self._unseen.extend(absolute_place(slide) for slide in slides)
            held.callback(self._close)
            try:
                self._work(cluster)
            except BaseException:
                cluster.stop()
                raise

    def _work(self, cluster: Cluster) -> None:
        while True:
            if self._job.should_stop():
                raise Cancelled(
                    f"Stopped after {self._done_tiles()} tiles, {self._finished} slides finished. "
                    "Give the same command again; it goes on there."
                )
            self._hand_out(cluster)
            if not cluster.under_way:
                return
            for outcome in cluster.outcomes(_POLL_S):
                self._take(cluster, outcome)
            if self._is_full:  # no other slide would fit either
                cluster.stop()
                return
            self._tell(cluster)

    def _hand_out(self, cluster: Cluster) -> None:
        """Keep all workers busy: shards of open slides first, then slides to look at."""
        due = _AHEAD * max(cluster.slots, 1)
        for one in self._open.values():
            while one.waiting and cluster.under_way - len(self._surveys) < due:
                shard = one.waiting.popleft()
                key = f"shard/{one.record.fingerprint}/{shard}"
                cluster.submit(key, embed_shard, self._shard_job(one, shard), embeds=True)
        ready = sum(len(one.waiting) for one in self._open.values())
        while (
            self._unseen
            and ready < due
            and len(self._surveys) < due
            and len(self._open) + len(self._surveys) < _MOST_OPEN
        ):
            path = self._unseen.popleft()
            key = f"slide/{len(self._unseen)}"
            self._surveys[key] = path
            known = "" if self._job.config.reindex else self._intake.known_at(path)
            survey = SurveyJob(self._run, path, self._job.config.slide_mpp, known)
            cluster.submit(key, survey_slide, survey)

    def _shard_job(self, one: _OpenSlide, shard: int) -> ShardJob:
        tiles = one.writer.tiles
        rows = tiles[shard_rows(shard, len(tiles))]
        config = self._job.config
        return ShardJob(
            self._run,
            one.path,
            one.record.fingerprint,
            absolute_file(config.encoder),
            config.device,
            config.batch,
            shard,
            corners(rows).astype(np.int32),
            int(rows["size"][0]),
            one.seen.stain,
        )

    def _take(self, cluster: Cluster, outcome: Outcome) -> None:
        """Take what a task gave; an error fails its slide alone."""
        kind, name, *number = outcome.key.split("/")
        path = self._surveys.pop(outcome.key) if kind == "slide" else None
        if kind == "shard":
            self._partly.pop((name, int(number[0])), None)
            if name not in self._open:
                return  # its slide has failed
            path = self._open[name].path
        try:
            if outcome.error is not None:
                raise outcome.error
            if isinstance(outcome.value, SeenSlide):
                name = outcome.value.record.fingerprint
                self._begin(str(path), outcome.value)
            elif isinstance(outcome.value, EncodedShard):
                self._commit(self._open[name], outcome.value)
        except UnfitWorkerError:
            raise
        except UserError as error:
            self._is_full = self._is_full or isinstance(error, DiskFullError)
            self.report.failures.append((str(path), str(error)))
            if name in self._open:
                self._open.pop(name).held.close()  # what is written of it stays for the next run
                cluster.forget(f"shard/{name}/")
                self._partly = {key: n for key, n in self._partly.items() if key[0] != name}

    def _begin(self, path: str, seen: SeenSlide) -> None:
        """Open a slide that a worker has looked at for writing, unless it is there already."""
        fingerprint = seen.record.fingerprint
        if fingerprint in self._open:
            self.report.skipped.append(path)  # the same under another name
            return
        record = self._intake.admit(seen.record, seen.name, path)
        if record is None:
            return
        if seen.tiles is None:
            raise UserError(f"{seen.name!r} was taken out of the library meanwhile.")
        tiles = seen.tiles
        self.report.remarks += seen.remarks
        folder = self._collection.slide_folder(fingerprint)
        held = ExitStack()
        writer = held.enter_context(
            SlideWriter(folder, record, self._collection.set_up, lambda: tiles)
        )
        one = _OpenSlide(path, record, seen, writer, held, deque(writer.todo))
        self._open[fingerprint] = one
        self._finish_if_whole(one)

    def _commit(self, one: _OpenSlide, encoded: EncodedShard) -> None:
        """Write a shard, unless it is there; the last one finishes its slide."""
        if encoded.shard not in one.writer.todo:
            return
        one.writer.write(encoded.shard, encoded.embeddings.astype(np.float32))
        name = Path(one.path).name
        self.report.tiles += len(encoded.embeddings)
        self.report.failures += [(name, failure) for failure in encoded.failures]
        self._finish_if_whole(one)

    def _finish_if_whole(self, one: _OpenSlide) -> None:
        if one.writer.todo:
            return
        one.writer.finish()
        one.held.close()
        del self._open[one.record.fingerprint]
        self._finished += 1
        self._finished_tiles += len(one.writer.tiles)
        self._intake.settle(one.record, one.path)

    def _close(self) -> None:
        for one in self._open.values():
            one.held.close()

    def _done_tiles(self) -> int:
        return self._finished_tiles + sum(one.writer.done_tiles for one in self._open.values())

    def _tell(self, cluster: Cluster) -> None:
        """Report tiles of all slides; those not seen yet count as the mean of the others."""
        with suppress(Empty):
            while True:
                fingerprint, shard, tiles = cluster.events.get_nowait()
                one = self._open.get(fingerprint)
                if one is not None and shard in one.writer.todo:
                    self._partly[fingerprint, shard] = tiles
        tiles = self._finished_tiles + sum(len(one.writer.tiles) for one in self._open.values())
        known = self._finished + len(self._open)
        left = len(self._unseen) + len(self._surveys)
        slots = cluster.slots
        words = f"{slots} shards at a time" if slots else "waiting for a worker"
        due = None if not known else tiles + round(tiles / known * left)
        done = self._done_tiles() + sum(self._partly.values())
        self._job.on_progress(Progress(done, due, f"{len(self._open)} slides, {words}"))
