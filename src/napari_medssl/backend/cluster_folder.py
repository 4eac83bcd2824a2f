"""Cluster the pictures of a folder, or the rows of a table of embeddings, into a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.cluster_table import cluster_table
from napari_medssl.backend.clustering import MOST, count_clusters, find_clusters, places_of
from napari_medssl.backend.config import check, option
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.feature_rows import read_unit_features
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.kept_batches import (
    GOES_ON,
    KeptBatches,
    stopped_line,
)
from napari_medssl.io.feature_table import is_feature_file
from napari_medssl.io.files import check_writable, write_whole
from napari_medssl.io.images import ImageRef, name_below, scan_images
from napari_medssl.methods.contrastive_autoencoder.choosing import Elbow

VIEWS = "views"
"""Name of the encoder that is fitted to the folder."""


@dataclass(frozen=True)
class ClusterConfig:
    """Find groups of pictures that look alike, without labels."""

    clusters: str = option("auto", help="How many; auto takes the elbow of k-means.")
    encoder: str = option(
        VIEWS,
        help="views fits ImageNet's features to these pictures; or one of `medssl embed`.",
    )
    recursive: bool = option(True, help="Also look into the folders of a folder.")
    seed: int = option(0, help="Of the views, k-means and the map.", min=0)
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


@dataclass(frozen=True, slots=True)
class EmbeddedPictures:
    """Rows to cluster.

    Attributes
    ----------
    names
        One a row.
    embeddings
        float32, unit length, shape (N, D).
    by
        What made them, in words.
    failures
        (name, reason) of pictures that could not be read.
    refs
        The picture of each row; none where a file of features was given.
    """

    names: tuple[str, ...]
    embeddings: NDArray[np.float32]
    by: str
    failures: tuple[tuple[str, str], ...] = ()
    refs: tuple[ImageRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What `cluster_pictures` found.

    Attributes
    ----------
    pictures
        What was clustered.
    labels, confidence
        See `backend.clustering.Clusters`.
    sizes
        Rows of each cluster, largest first.
    how
        Who chose the number of clusters, in words.
    """

    pictures: EmbeddedPictures
    labels: NDArray[np.int64]
    confidence: NDArray[np.float32]
    sizes: tuple[int, ...]
    how: str


def cluster_pictures(
    inputs: Sequence[Path],
    out: Path,
    config: ClusterConfig,
    *,
    cache: DiskCache | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ClusterReport:
    """Cluster pictures and write a table, see `cluster_table`.

    Clusters are numbered from 0, the largest first; confidence is the share of the cluster in the
    soft assignment; x and y are the place on a UMAP of the embeddings.

    Parameters
    ----------
    inputs
        Pictures and folders, or one file of features, see `io.feature_table`.
    out
        The table, a CSV file; written at the end, whole or not at all.
    config
        How.
    cache
        Where what the network saw is kept until the table is written; None for the program's own.

    Raises
    ------
    UserError
        If there is nothing to cluster, or nothing can be written.
    Cancelled
        If it was asked to stop; no table is written then.
    """
    check(config)
    wanted = _count(config.clusters)
    check_writable(out)
    kept = KeptBatches(cache)
    found = embed_pictures(
        inputs, config, kept=kept, on_progress=on_progress, should_stop=should_stop
    )
    stopped = f"Stopped; nothing is written.{f' {GOES_ON}' if found.refs else ''}"
    total = len(found.names)
    if wanted is not None and wanted > total:
        raise UserError(f"--clusters {wanted} is more than the {total} rows there are.")
    steps = (MOST if wanted is None else 0) + 2

    def tell(step: int, doing: str) -> None:
        if should_stop():
            raise Cancelled(stopped)
        on_progress(Progress(step, steps, doing))

    elbow = None
    if wanted is None:
        elbow = count_clusters(
            found.embeddings,
            config.seed,
            on_trial=lambda clusters: tell(clusters - 1, f"looking at {clusters} clusters"),
        )
    tell(steps - 2, "clustering")
    count = elbow.clusters if elbow else wanted or 1
    clusters = find_clusters(found.embeddings, count, config.seed)
    tell(steps - 1, "laying out the map")
    places = places_of(found.embeddings, config.seed, should_stop=should_stop)
    on_progress(Progress(steps, steps, "writing"))
    text = cluster_table(found.names, clusters.labels, clusters.confidence, places)
    write_whole(out, text.encode("utf-8", "backslashreplace"))  # names need not be valid text
    kept.clear()
    sizes = tuple(int(size) for size in np.bincount(clusters.labels))
    return ClusterReport(found, clusters.labels, clusters.confidence, sizes, _how(elbow))


def _how(elbow: Elbow | None) -> str:
    if elbow is None:
        return "as given"
    return "the elbow of k-means" if elbow.is_found else "no elbow: the middle of what was tried"


def embed_pictures(
    inputs: Sequence[Path],
    config: ClusterConfig,
    *,
    kept: KeptBatches | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> EmbeddedPictures:
    """Return embeddings of pictures, or those of a file; parameters as of `cluster_pictures`.

    Parameters
    ----------
    kept
        Where batches are kept, so that a stopped run goes on; None for nowhere.
    """
    if any(map(is_feature_file, inputs)):
        return _of_table(inputs)
    listing = scan_images(inputs, recursive=config.recursive)
    if not listing.refs and not listing.failures:
        raise UserError("There is no picture in what was given. Give a folder of pictures.")
    if not listing.refs:
        (name, reason), count = listing.failures[0], len(listing.failures)
        raise UserError(f"No picture can be read; of {count} that were found, {name!r}: {reason}")
    if config.encoder == VIEWS:
        found = _by_views(listing.refs, inputs, config, kept, on_progress, should_stop)
    else:
        found = _by_encoder(listing.refs, inputs, config, kept, on_progress, should_stop)
    return replace(found, failures=(*listing.failures, *found.failures))


def _by_views(
    refs: Sequence[ImageRef],
    inputs: Sequence[Path],
    config: ClusterConfig,
    kept: KeptBatches | None,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> EmbeddedPictures:
    from napari_medssl.backend.device import choose_device
    from napari_medssl.backend.view_encoder import embed_by_views

    made = embed_by_views(
        refs,
        choose_device(config.device),
        seed=config.seed,
        kept=kept,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return EmbeddedPictures(
        tuple(name_below(ref, inputs) for ref in made.refs),
        made.embeddings,
        "ImageNet features, fitted to views of these pictures",
        made.failures,
        made.refs,
    )


def _by_encoder(
    refs: Sequence[ImageRef],
    inputs: Sequence[Path],
    config: ClusterConfig,
    kept: KeptBatches | None,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> EmbeddedPictures:
    from napari_medssl.backend.encoders import make_encoder
    from napari_medssl.backend.tile_pictures import read_batches

    encoder = make_encoder(config.encoder, config.device)
    failures: list[tuple[str, str]] = []
    seen: list[ImageRef] = []
    about = (encoder.info, config.device)
    rows: list[NDArray[np.float32]] = []
    for done, batch, tiles in read_batches(refs, encoder.info.pixels, 32, failures):
        if should_stop():
            raise Cancelled(stopped_line(len(seen), len(refs), kept))
        rows.append(
            encoder.embed(tiles)
            if kept is None
            else kept.values(tiles, about, partial(encoder.embed, tiles))
        )
        seen += batch
        on_progress(Progress(done, len(refs), "embedding"))
    if len(seen) < 2:
        raise UserError(
            f"{len(seen)} of {len(refs)} pictures can be read; at least 2 are due to compare."
        )
    return EmbeddedPictures(
        tuple(name_below(ref, inputs) for ref in seen),
        np.concatenate(rows),
        f"encoder {encoder.info.name}",
        tuple(failures),
        tuple(seen),
    )


def _of_table(inputs: Sequence[Path]) -> EmbeddedPictures:
    if len(inputs) != 1:
        raise UserError(
            f"{len(inputs)} inputs came with a file of features among them. Give one such file, or "
            "pictures and folders."
        )
    table = read_unit_features(inputs[0])
    return EmbeddedPictures(table.names, table.features, table.by)


def _count(text: str) -> int | None:
    """Return the number of clusters that was asked for, None for any."""
    if text.strip().lower() == "auto":
        return None
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise UserError(f"--clusters {text!r} is neither auto nor a number from 1.")
    return count
