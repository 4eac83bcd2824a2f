"""What the workers of a cluster do for `medssl index --cluster`: look at slides, embed shards.

Each function is pure: it takes all that it needs as one value, opens the slide itself, writes
nothing, and gives the same for the same. So a worker may die in the middle, and a task may be run
twice: only what the client commits counts, see `cluster_indexer`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import Encoder, make_encoder
from napari_medssl.backend.shard_encoder import (
    EncodedShard,
    encode_shards,
    find_tile_rows,
    fit_look,
    tiling_of,
)
from napari_medssl.backend.tile_stream import TileForm
from napari_medssl.backend.tiles import slide_mpp
from napari_medssl.index.arrays import TileRows
from napari_medssl.index.set_up import SetUp, recipe_of
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.io.slides import open_slide
from napari_medssl.io.stain import Reinhard, StainStatistics

TELL_EVERY_S = 1.0
"""How often a task tells how far it is: not more, since all of them tell one scheduler."""


class UnfitWorkerError(UserError):
    """A worker that would embed otherwise than this machine, or cannot at all."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the verb: its name, the version that runs it, and the set-up it embeds with."""

    name: str
    version: str
    set_up: SetUp


@dataclass(frozen=True, slots=True)
class SurveyJob:
    """A slide to look at.

    Attributes
    ----------
    path
        Path or URL, by which the worker finds it.
    slide_mpp
        Microns per pixel, where the slide does not say.
    known
        Fingerprint of the slide that was indexed from this path: if it is this one still, no
        tissue is looked for. "" to look in any case.
    """

    run: Run
    path: str
    slide_mpp: float | None
    known: str = ""


@dataclass(frozen=True, slots=True)
class SeenSlide:
    """What a worker saw of a slide; `tiles` is None if it is the known one."""

    record: SlideRecord
    name: str
    tiles: TileRows | None = None
    stain: StainStatistics | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardJob:
    """A shard to embed.

    Attributes
    ----------
    path, fingerprint
        The slide; at the path there must be the one of this fingerprint.
    encoder, device
        As `make_encoder` takes them.
    batch
        Tiles that are embedded together.
    shard
        Its number.
    locations
        Corners of its tiles at level 0, int32 (N, 2).
    size
        Their side in level-0 pixels.
    stain
        Of the slide, where the encoder wants another one.
    """

    run: Run
    path: str
    fingerprint: str
    encoder: str
    device: str
    batch: int
    shard: int
    locations: NDArray[np.int32]
    size: int
    stain: StainStatistics | None = None


def survey_slide(job: SurveyJob) -> SeenSlide:
    """Open a slide and find its tiles.

    Raises
    ------
    UserError
        If it cannot be opened, does not say its resolution, or is smaller than a tile.
    UnfitWorkerError
        If this worker runs another version.
    """
    _check_version(job.run)
    tiling = tiling_of(job.run.set_up, job.slide_mpp)
    try:
        with open_slide(job.path) as slide:
            seen = SlideRecord(
                slide.fingerprint, slide.source or job.path, dimensions=slide.dimensions
            )
            if slide.fingerprint == job.known:
                return SeenSlide(seen, slide.name)
            mpp = slide_mpp(slide, tiling)
            tiles, remarks = find_tile_rows(slide, tiling)
            stain = fit_look(slide, job.run.set_up, tiles, mpp)
            record = SlideRecord(seen.fingerprint, seen.path, "", seen.dimensions, mpp)
            return SeenSlide(record, slide.name, tiles, stain, remarks)
    except UserError as error:
        raise UserError(f"{error} ({_here()})") from error


def embed_shard(job: ShardJob) -> EncodedShard:
    """Embed the tiles of a shard; float16, as they lie on the disk.

    Raises
    ------
    UserError
        If the slide cannot be opened, or is another one than the client knows.
    UnfitWorkerError
        If this worker has another version or another encoder, or none.
    Cancelled
        If the run was stopped: before the next batch.
    """
    _check_version(job.run)
    encoder = _encoder(job)
    set_up = job.run.set_up
    look = None if job.stain is None else Reinhard(job.stain, set_up.stain)
    form = TileForm(job.size, set_up.pixels, job.batch, look)
    shards = iter([(job.shard, job.locations.astype(np.int64))])
    try:
        with open_slide(job.path) as slide:
            if slide.fingerprint != job.fingerprint:
                raise UserError(
                    f"{slide.name!r} is another slide here than the one whose tiles were found. "
                    "Give all workers the same files."
                )
            (encoded,) = encode_shards(
                slide,
                encoder,
                form,
                lambda: next(shards, None),
                on_batch=_teller(job),
                should_stop=lambda: job.run.name in _stopped,
            )
    except UserError as error:
        raise UserError(f"{error} ({_here()})") from error
    return EncodedShard(job.shard, encoded.embeddings.astype(np.float16), encoded.failures)


def stop_run(name: str) -> None:
    """Stop the tasks of a run in this process: each ends before its next batch."""
    _stopped.add(name)


_stopped: set[str] = set()
_encoders: dict[tuple[str, str, str], Encoder] = {}
_loading = threading.Lock()


def _check_version(run: Run) -> None:
    if run.version != __version__ or run.set_up.recipe != recipe_of(run.set_up.stain):
        raise UnfitWorkerError(
            f"The {_here()} runs napari-medssl {__version__}, this machine {run.version}. Install "
            "the same version on both."
        )


def _encoder(job: ShardJob) -> Encoder:
    """Return the encoder of a job, which stays loaded; it must be the one of the client."""
    due = job.run.set_up
    key = (job.encoder, job.device, due.sha256 + due.preprocessing)
    with _loading:
        if key not in _encoders:
            try:
                encoder = make_encoder(job.encoder, job.device)
            except UserError as error:
                raise UnfitWorkerError(f"The {_here()} cannot embed. {error}") from error
            info = encoder.info
            if (info.sha256, info.dim) != (due.sha256, due.dim):
                raise UnfitWorkerError(
                    f"The {_here()} has other weights of encoder {info.name!r} (sha256 "
                    f"{info.sha256[:12] or 'none'}) than this machine "
                    f"({due.sha256[:12] or 'none'}). Give it the same file."
                )
            if info.preprocessing != due.preprocessing:
                raise UnfitWorkerError(
                    f"The {_here()} has {info.preprocessing or 'no preprocessing'} beside encoder "
                    f"{info.name!r}, this machine {due.preprocessing or 'none'}. Give it the same "
                    f"{info.name + '.json'!r}."
                )
            _encoders.clear()
            _encoders[key] = encoder
        return _encoders[key]


def _here() -> str:
    """Return the words for the worker that runs this."""
    from distributed import get_worker

    try:
        return f"worker {get_worker().address}"
    except ValueError:
        return "worker"


def _teller(job: ShardJob) -> Callable[[int], None]:
    """Return what tells the client, now and then, how many tiles of the shard are done."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # called by no cluster
        return lambda count: None
    done, told = 0, time.monotonic()

    def tell(count: int) -> None:
        nonlocal done, told
        done += count
        if time.monotonic() - told >= TELL_EVERY_S:
            told = time.monotonic()
            worker.log_event(job.run.name, [job.fingerprint, job.shard, done])

    return tell
