"""Make the map of a source: read it, lay it out, cluster it, say how far it can be trusted.

What is known is told as soon as it is, so that a window can show it: see `make_map`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.map_layout import (
    GRAPH_NEIGHBOURS,
    LayoutConfig,
    lay_out,
    neighbours_of,
    place_new,
    principal_places,
    warm_up,
)
from napari_medssl.backend.map_source import MapSource, SourceConfig, open_source
from napari_medssl.backend.map_trust import Trust, trust_of
from napari_medssl.index.neighbour_graph import NeighbourGraph

MOST_CLUSTERED = 20_000
"""Rows that k-means is fitted to; the others go to the nearest centre."""

OnStep = Callable[[str, Any], None]
OpenSource = Callable[..., MapSource]
Cluster = Callable[..., NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class MadeMap:
    """A map that is finished.

    Attributes
    ----------
    source
        What it is of.
    places
        Of each row, float32, shape (N, 2).
    graph
        The nearest rows of each by their embeddings.
    labels
        Cluster of each row, from 0, the largest first, int64, shape (N,).
    trust
        How far it can be trusted at each row.
    """

    source: MapSource
    places: NDArray[np.float32]
    graph: NeighbourGraph
    labels: NDArray[np.int64]
    trust: Trust


@dataclass(frozen=True, slots=True)
class FormerMap:
    """A map that was made before: its names, embeddings (N, D), and places (N, 2)."""

    names: tuple[str, ...]
    embeddings: NDArray[np.float32]
    places: NDArray[np.float32]


def make_map(
    place: Path,
    config: LayoutConfig,
    *,
    source: SourceConfig | None = None,
    former: FormerMap | None = None,
    clusters: int | None = None,
    cache: Path | None = None,
    on_step: OnStep = lambda name, value: None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
    open_with: OpenSource = open_source,
    cluster_with: Cluster | None = None,
) -> MadeMap:
    """Return the map of a source.

    Parameters
    ----------
    place
        What `open_source` takes.
    config
        How the map is laid out.
    source
        How pictures are embedded, see `open_source`.
    former
        A map of the same place. If its rows are all there still, the same as they were, they keep
        their places, and the rows that are new are placed among them.
    clusters
        How many; by default as many as the elbow of k-means tells.
    cache
        Folder where finished maps are kept.
    on_step
        Called with a name and what is known by then: "source", "places" (again and again while the
        map forms), "labels", "graph", "trust".
    open_with, cluster_with
        What opens the source and what clusters it, for a window that has both done elsewhere.

    Raises
    ------
    UserError
        If there is nothing that a map can be made of.
    Cancelled
        If it was asked to stop.
    """
    opened = open_with(place, source, on_progress=on_progress, should_stop=should_stop)
    values = opened.embeddings
    on_step("source", opened)
    kept = None if former is None else _rows_of(former, opened)
    if former is None or kept is None:
        on_progress(Progress(0, None, "looking for the principal components"))
        on_step("places", principal_places(values))
    with _warming_up(should_stop):
        graph = neighbours_of(
            values,
            max(GRAPH_NEIGHBOURS, config.neighbours - 1),
            on_progress=on_progress,
            should_stop=should_stop,
        )
        on_step("graph", graph)
        labels = (cluster_with or cluster_rows)(
            values, clusters, config.seed, on_progress=on_progress, should_stop=should_stop
        )
        on_step("labels", labels)
        _check(should_stop)

    def tell_places(places: NDArray[np.float32]) -> None:
        on_step("places", places)

    if former is not None and kept is not None:
        places = np.empty((len(values), 2), np.float32)
        is_new = np.ones(len(values), bool)
        is_new[kept] = False
        places[kept] = former.places
        places[is_new] = place_new(
            values[is_new],
            former.embeddings,
            former.places,
            config,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    else:
        places = lay_out(
            values,
            graph,
            config,
            cache=cache,
            on_places=tell_places,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    on_step("places", places)
    on_progress(Progress(0, None, "measuring how far the map can be trusted"))
    trust = trust_of(values, graph, places, should_stop=should_stop)
    on_step("trust", trust)
    return MadeMap(opened, places, graph, labels, trust)


def _rows_of(former: FormerMap, source: MapSource) -> NDArray[np.int64] | None:
    """Return where the rows of a map are in a source, None if it is not that map and more rows."""
    number_of = {name: number for number, name in enumerate(source.names)}
    found = [number_of.get(name, -1) for name in former.names]
    rows = np.array(found, np.int64)
    added = len(source.names) - len(rows)
    if not 0 < added <= len(rows) or (rows < 0).any():
        return None
    is_same = source.embeddings.shape[1] == former.embeddings.shape[1] and np.array_equal(
        source.embeddings[rows], former.embeddings
    )
    return rows if is_same else None


@contextmanager
def _warming_up(should_stop: ShouldStop) -> Iterator[None]:
    """Start what lays maps out while something else is done: it takes seconds."""

    def warm() -> None:
        with suppress(Cancelled, UserError):  # who lays out will hear of it
            warm_up(should_stop=should_stop)

    thread = threading.Thread(target=warm, name="medssl map warm-up", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _check(should_stop: ShouldStop) -> None:
    if should_stop():
        raise Cancelled("Stopped; the map is as far as it came.")


def cluster_rows(
    embeddings: NDArray[np.float32],
    clusters: int | None,
    seed: int = 0,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> NDArray[np.int64]:
    """Return a cluster for each row, from 0, the largest first, int64 (N,).

    Parameters
    ----------
    embeddings
        Unit length, shape (N, D).
    clusters
        How many; None takes the elbow of k-means.
    seed
        Of k-means, and of the rows that it is fitted to where there are many.

    Raises
    ------
    Cancelled
        If it was asked to stop.
    """
    from napari_medssl.backend.clustering import MOST, count_clusters, find_clusters

    some = embeddings
    if len(embeddings) > MOST_CLUSTERED:
        drawn = np.random.default_rng(seed).choice(len(embeddings), MOST_CLUSTERED, replace=False)
        some = embeddings[np.sort(drawn)]

    def tell(trial: int) -> None:
        _check(should_stop)
        on_progress(Progress(trial - 1, MOST, "looking for clusters"))

    tell(1)
    count = min(clusters or 0, len(some))
    if not clusters:
        count = max(1, count_clusters(some, seed, on_trial=tell).clusters)
    found = find_clusters(some, count, seed)
    if some is embeddings:
        return found.labels
    nearest = np.concatenate(
        [
            (embeddings[start : start + MOST_CLUSTERED] @ found.prototypes.T).argmax(axis=1)
            for start in range(0, len(embeddings), MOST_CLUSTERED)
        ]
    )
    order = np.argsort(-np.bincount(nearest, minlength=len(found.prototypes)), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    labels: NDArray[np.int64] = place[nearest]
    return labels
