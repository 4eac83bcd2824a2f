"""Index slides: embed their tiles into a library, slide by slide, and keep its search quick."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check
from napari_medssl.backend.encoders import Encoder, make_encoder
from napari_medssl.backend.index_config import (
    IndexConfig,
    IndexReport,
    IndexStopped,
    RemoveReport,
)
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.library_place import Place, written_library
from napari_medssl.backend.patients import read_patients
from napari_medssl.backend.slide_indexer import IndexJob, SlideIndexer, Towards
from napari_medssl.index.approximate import build_approximate, needs_index, open_approximate
from napari_medssl.index.flat_update import open_flat
from napari_medssl.index.library import CollectionFolder
from napari_medssl.index.set_up import SetUp, recipe_of
from napari_medssl.index.slide_record import is_fingerprint
from napari_medssl.io.slides.places import absolute_file, local_path

if TYPE_CHECKING:
    from napari_medssl.backend.cluster import ClusterPlace

_MPP = 0.5  # where the encoder does not care


def index_slides(
    slides: Sequence[str],
    library: Place,
    config: IndexConfig,
    *,
    cluster: ClusterPlace | None = None,
    towards: Towards = lambda: None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> IndexReport:
    """Add slides to a library; what is in it already with the same encoder is passed over.

    Stopped or killed, the same call goes on where it was: what is lost is at most one shard of
    1024 tiles, and no tile is there twice.

    Parameters
    ----------
    slides
        Paths or URLs.
    library
        Folder of the library, or URL of one in an object store; made if missing.
    config
        The encoder and which tiles.
    cluster
        Whose workers are to find and embed the tiles; None for this process. The files are the
        same.
    towards
        See `Towards`; a cluster does not ask.
    on_progress, should_stop
        See `backend.jobs`; progress counts tiles, those of slides not opened yet by the mean of
        the others.

    Raises
    ------
    UserError
        If there is no such encoder or cluster, or the library cannot be written or is being
        written.
    IndexStopped
        If it was asked to stop.
    """
    check(config)
    patients = read_patients(config.patients, config.patient_rule)
    on_progress(Progress(0, None, "loading the encoder"))
    # Beside a cluster this process only says which encoder it is.
    encoder = make_encoder(config.encoder, config.device if cluster is None else "cpu")
    set_up = set_up_of(encoder, config)
    with written_library(
        library, make=True, on_progress=on_progress, should_stop=should_stop
    ) as held:
        collection = held.library.make_collection(set_up, absolute_file(config.encoder))
        report = IndexReport(set_up.name, remarks=list(held.problems))
        job = IndexJob(encoder, config, patients, towards, on_progress, should_stop, held)
        try:
            _add_all(slides, collection, job, report, cluster)
            try:
                report.recall = bring_up_to_date(collection, on_progress, should_stop)
            except UserError as error:  # the slides are in the library, and can be searched
                report.remarks.append(str(error))
        except Cancelled as stopped:
            raise IndexStopped(str(stopped), report) from stopped
    return report


def _add_all(
    slides: Sequence[str],
    collection: CollectionFolder,
    job: IndexJob,
    report: IndexReport,
    cluster: ClusterPlace | None,
) -> None:
    """Index slides here or on a cluster."""
    if cluster is None:
        SlideIndexer(collection, job, report).add_all(slides)
        return
    from napari_medssl.backend.cluster_indexer import ClusterIndexer

    try:
        ClusterIndexer(collection, job, report, cluster).add_all(slides)
    except UserError as error:  # of the cluster, not of a slide
        if not report.tiles:
            raise
        raise Cancelled(str(error)) from error


def set_up_of(encoder: Encoder, config: IndexConfig) -> SetUp:
    """Return the set-up of an encoder with what the config asks for."""
    info = encoder.info
    return SetUp(
        encoder=info.name,
        sha256=info.sha256,
        dim=info.dim,
        pixels=info.pixels,
        mpp=config.mpp or info.mpp or _MPP,
        size=config.size or info.pixels,
        stain=info.stain,
        overlap=config.overlap,
        min_tissue=config.min_tissue,
        recipe=recipe_of(info.stain),
        preprocessing=info.preprocessing,
    )


def bring_up_to_date(
    collection: CollectionFolder, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> float:
    """Make the caches that a collection is searched with; return the recall of the search.

    Raises
    ------
    UserError
        If the disk refuses.
    Cancelled
        If it was asked to stop; the slides are in the library.
    """

    def on_slide(done: int, total: int) -> None:
        on_progress(Progress(done, total, "making the search ready"))

    def on_step(done: int, total: int, what: str) -> None:
        on_progress(Progress(done, total, what))

    manifests, _ = collection.manifests()
    flat, _ = open_flat(collection, manifests, on_slide=on_slide, should_stop=should_stop)
    if not should_stop() and needs_index(collection.folder, flat):
        build_approximate(collection.folder, flat, on_step=on_step, should_stop=should_stop)
    if should_stop():
        raise Cancelled("Stopped; the slides are in the library. The same command goes on.")
    found = open_approximate(collection.folder, flat)
    return 1.0 if found is None else found.reach(1).recall


def remove_slides(slides: Sequence[str], library: Place) -> RemoveReport:
    """Take slides out of every collection of a library; their files stay as they are.

    Parameters
    ----------
    slides
        Paths as they were when they were indexed, of files that need not be there any more, or
        fingerprints.
    library
        Folder of the library, or URL of one in an object store.

    Raises
    ------
    UserError
        If there is no library, or it cannot be written or is being written.
    """
    report = RemoveReport()
    with written_library(library, make=False) as held:
        opened = held.library
        known: dict[str, set[str]] = {}
        for collection in opened.collections:
            for fingerprint, manifest in collection.manifests()[0].items():
                known.setdefault(manifest.record.path, set()).add(fingerprint)
        for slide in slides:
            place = str(Path(slide).absolute()) if local_path(slide) else slide
            found = known.get(place) or known.get(slide) or {slide}
            removed = sum(held.remove_slide(one) for one in found if is_fingerprint(one))
            if removed:
                report.removed.append(slide)
            else:
                reason = (
                    f"The library has no slide {slide!r}. Give its path as it was when it was "
                    "indexed, or its fingerprint (`medssl slide info`)."
                )
                report.failures.append((slide, reason))
    return report
