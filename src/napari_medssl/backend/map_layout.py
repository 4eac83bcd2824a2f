"""Lay embeddings out on the plane: principal components at once, then UMAP in a child process.

The child is apart from the window's compute process, so that it can be killed at any time. Rows are
laid out with the neighbours of `index.neighbour_graph`, beginning at the principal components; of
many, some are, and the rest are placed among them. A layout is kept in a cache by the content of
the embeddings and the settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.map_cache import KeptLayout
from napari_medssl.backend.map_places import Embeddings, Places, checked_rows, principal_places
from napari_medssl.backend.map_process import OnPlaces, Watch, call_child, ignore_places, warm_up
from napari_medssl.index.neighbour_graph import NeighbourGraph, nearest_among, nearest_rows

GRAPH_NEIGHBOURS = 15
"""Neighbours that a graph for maps and their trust holds at least."""

__all__ = [
    "GRAPH_NEIGHBOURS",
    "LayoutConfig",
    "lay_out",
    "neighbours_of",
    "place_new",
    "principal_places",
    "warm_up",
]

_SMALL = 10_000  # rows, up to which there are more epochs
_FEW = 4  # rows, fewer of which are no layout
_AMONG = 4  # part of the epochs that rows placed later take


@dataclass(frozen=True)
class LayoutConfig:
    """How rows are laid out on the plane (UMAP)."""

    neighbours: int = option(
        15,
        help="Rows that each is held near to, itself counted: more show the whole, fewer details.",
        min=2,
        max=200,
    )
    min_dist: float = option(
        0.1, help="How close rows may lie: small packs them in clumps.", min=0.0, max=0.99
    )
    seed: int = option(0, help="Of the layout, which is the same for the same seed.", min=0)
    epochs: int = option(
        0, help="Rounds of the layout; 0 takes 500, or 200 for more than 10,000 rows.", min=0
    )
    fitted: int = option(
        200_000,
        help="Most rows that are laid out together; the rest are placed among them.",
        min=100,
        advanced=True,
    )


def neighbours_of(
    embeddings: Embeddings,
    k: int = GRAPH_NEIGHBOURS,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> NeighbourGraph:
    """Return the `k` nearest rows of each row, see `index.neighbour_graph`; `Cancelled` if stopped.

    A map takes `LayoutConfig.neighbours - 1` of them, its trust 15.
    """
    graph = nearest_rows(
        checked_rows(embeddings),
        k,
        on_step=lambda done, total, what: on_progress(Progress(done, total, what)),
        should_stop=should_stop,
    )
    if graph is None:
        raise Cancelled("Stopped while neighbours were looked for.")
    return graph


def lay_out(
    embeddings: Embeddings,
    graph: NeighbourGraph,
    config: LayoutConfig,
    *,
    cache: Path | None = None,
    on_places: OnPlaces = ignore_places,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Places:
    """Return places of rows on a UMAP, float32 (N, 2). Blocks: call it in a thread.

    Fewer than four rows are laid out by their principal components.

    Parameters
    ----------
    embeddings
        Unit length, shape (N, D).
    graph
        Of all rows, with `config.neighbours` - 1 neighbours at least (if there are as many rows).
    config
        How.
    cache
        A folder where layouts are kept, made if need be; what is there is taken.
    on_places
        Called with the places of all rows some times a second while the layout forms.
    on_progress, should_stop
        As of every job; when asked to stop, the process is killed at once.

    Raises
    ------
    UserError
        If the embeddings cannot be laid out, or the process died; most often memory ran out then.
    Cancelled
        If it was asked to stop. Nothing is kept then.
    """
    check(config)
    values = checked_rows(embeddings)
    if len(graph.rows) != len(values):
        raise ValueError(f"A graph of {len(graph.rows)} rows came for {len(values)} embeddings.")
    due = min(config.neighbours, len(values)) - 1
    if graph.rows.shape[1] < due:
        raise ValueError(f"A graph of {graph.rows.shape[1]} neighbours came; {due} are due.")
    if len(values) < _FEW:
        return principal_places(values)
    kept = KeptLayout(cache, values, config)
    places = kept.read()
    if places is None:
        watch = Watch(on_places, on_progress, should_stop)
        if len(values) > config.fitted:
            places = _part_by_part(values, config, watch)
        else:
            places = _fit(graph, principal_places(values), config, watch)
        kept.write(places)
    return places


def place_new(
    rows: Embeddings,
    embeddings: Embeddings,
    places: Places,
    config: LayoutConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Places:
    """Return places of more rows on a map, float32 (M, 2); the rows of the map stay where they are.

    The place of a row is the same whatever rows come with it.

    Parameters
    ----------
    rows
        Unit length, shape (M, D).
    embeddings, places
        Of the rows of the map, (N, D) and (N, 2).
    config
        What the map was made with.

    Raises
    ------
    UserError
        As `lay_out`, and if the rows are of another width.
    Cancelled
        If it was asked to stop.
    """
    check(config)
    values = checked_rows(embeddings)
    more = checked_rows(rows, values.shape[1])
    on_progress(Progress(0, len(more), "finding neighbours"))
    near = nearest_among(
        more,
        values,
        config.neighbours,
        on_step=lambda done, total, what: on_progress(Progress(done, total, what)),
        should_stop=should_stop,
    )
    if near is None:
        raise Cancelled("Stopped while neighbours were looked for.")
    settings = _settings(config, len(more)) | {"epochs": _epochs(config, len(values)) // _AMONG}
    watch = Watch(ignore_places, on_progress, should_stop)
    found: Places = call_child("place_rows", watch, near.rows, near.distances, places, settings)
    return found


def _epochs(config: LayoutConfig, count: int) -> int:
    return config.epochs or (500 if count <= _SMALL else 200)


def _settings(config: LayoutConfig, count: int) -> dict[str, Any]:
    epochs = _epochs(config, count)
    return {"min_dist": config.min_dist, "epochs": epochs, "seed": config.seed}


def _fit(graph: NeighbourGraph, start: Places, config: LayoutConfig, watch: Watch) -> Places:
    due = config.neighbours - 1
    settings = _settings(config, len(start))
    near = (np.ascontiguousarray(each[:, :due]) for each in (graph.rows, graph.distances))
    places: Places = call_child("lay_rows_out", watch, *near, start, settings)
    return places


def _part_by_part(values: Embeddings, config: LayoutConfig, watch: Watch) -> Places:
    """Lay a sample out and place the rest among it."""
    rng = np.random.default_rng(config.seed)
    chosen = np.zeros(len(values), np.bool_)
    chosen[rng.choice(len(values), config.fitted, replace=False)] = True
    sample = values[chosen]
    graph = neighbours_of(
        sample,
        config.neighbours - 1,
        on_progress=watch.on_progress,
        should_stop=watch.should_stop,
    )
    places = principal_places(values)
    start = places[chosen]
    silent = replace(watch, on_places=ignore_places)  # of a part of the rows only
    places[chosen] = _fit(graph, start, config, silent)
    places[~chosen] = place_new(
        values[~chosen],
        sample,
        places[chosen],
        config,
        on_progress=watch.on_progress,
        should_stop=watch.should_stop,
    )
    return places
