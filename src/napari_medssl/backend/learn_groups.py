"""Learn from a few rows that a person put into groups: which group the others belong to.

Two learners are averaged. Logistic regression sees the labelled rows alone. Label spreading (Zhou
et al., NIPS 2003) lets labels run along the graph of nearest rows, F <- a S F + (1 - a) Y with
S = D^-1/2 W D^-1/2, and so sees the others too. The first is better where labels are many or
groups are mixed, the second where they are few and groups lie apart: docs/embedding_map.md has the
figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.map_layout import GRAPH_NEIGHBOURS, LayoutConfig, lay_out, neighbours_of
from napari_medssl.backend.map_trust import trust_of
from napari_medssl.index.neighbour_graph import NeighbourGraph

UNKNOWN = -1
"""Label of a row that nobody labelled."""

_STAYS = 0.9  # a: how far a label runs
_ROUNDS = 60
_WIDTH = 0.1  # of the kernel exp(-d / width) of cosine distances
_BLOCK_ROWS = 65_536
_STRENGTH = 10.0  # C of logistic regression


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned of N rows and K groups.

    Attributes
    ----------
    group
        Of each row, the likeliest, 0 to K - 1, int64 (N,); labelled rows keep theirs.
    sureness
        Of that, 0 to 1, float32 (N,); 1 for labelled rows. A share, not a probability that was
        calibrated.
    embeddings
        Those of before with the shares of the groups besides, unit length, float32 (N, D + K).
    """

    group: NDArray[np.int64]
    sureness: NDArray[np.float32]
    embeddings: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LearnRequest:
    """What a map is to learn from.

    Attributes
    ----------
    embeddings, graph
        Of the map, unit length (N, D), and its nearest rows.
    labels
        Group of each labelled row, 0 to K - 1, else `UNKNOWN`, int64 (N,).
    config, cache
        How the map is laid out anew, and where finished ones are kept.
    """

    embeddings: NDArray[np.float32]
    graph: NeighbourGraph
    labels: NDArray[np.int64]
    config: LayoutConfig
    cache: Path | None


def learn_groups(
    embeddings: NDArray[np.float32],
    graph: NeighbourGraph,
    labels: NDArray[np.int64],
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Learned:
    """Return the likeliest group of each row; parameters as in `LearnRequest`.

    Raises
    ------
    UserError
        If fewer than two groups have a labelled row, or no row is left to learn of.
    Cancelled
        If it was asked to stop.
    """
    from sklearn.linear_model import LogisticRegression

    known = labels != UNKNOWN
    groups = np.unique(labels[known])
    if len(groups) < 2:
        raise UserError(
            f"{len(groups)} group came to learn from; due are 2 at least. Mark two groups or more "
            "that are to be told apart."
        )
    if known.all():
        raise UserError(
            "Every point is in one of the groups to learn from: there is nothing left to suggest. "
            "Mark groups that hold examples only."
        )
    on_progress(Progress(0, 2, "learning from groups"))
    places = np.searchsorted(groups, labels)
    probe = LogisticRegression(C=_STRENGTH, max_iter=500, class_weight="balanced")
    probe.fit(embeddings[known], places[known])
    told = _told(probe, embeddings, should_stop)
    on_progress(Progress(1, 2, "learning from groups"))
    count = len(groups)
    spread = spread_labels(graph, np.where(known, places, UNKNOWN), count, should_stop=should_stop)
    shares = (told + spread) / 2
    shares[known] = np.eye(count)[places[known]]
    group = groups[shares.argmax(axis=1)]
    sureness = shares.max(axis=1).astype(np.float32)
    return Learned(group.astype(np.int64), sureness, _widened(embeddings, shares))


def _told(
    probe: Any, embeddings: NDArray[np.float32], should_stop: ShouldStop
) -> NDArray[np.float64]:
    """Return the shares that a probe gives, (N, K); block by block, for it takes float64."""
    parts = []
    for start in range(0, len(embeddings), _BLOCK_ROWS):
        if should_stop():
            raise Cancelled("Stopped; nothing was learned.")
        parts.append(probe.predict_proba(embeddings[start : start + _BLOCK_ROWS]))
    return np.concatenate(parts)


def _widened(embeddings: NDArray[np.float32], shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return embeddings with shares besides, of unit length."""
    wide = np.concatenate([embeddings, shares.astype(np.float32)], axis=1)
    wide /= np.sqrt(np.einsum("nd,nd->n", wide, wide))[:, None]
    return wide


def spread_labels(
    graph: NeighbourGraph,
    labels: NDArray[np.int64],
    count: int,
    *,
    should_stop: ShouldStop = never,
) -> NDArray[np.float64]:
    """Return the share of each of `count` groups in each row, (N, count), by label spreading.

    Each group starts with the same amount, however many rows are labelled with it; rows that no
    label reaches have equal shares.
    """
    from scipy.sparse import csr_array, diags_array

    size, near = graph.rows.shape
    weights = np.exp(-graph.distances.astype(np.float64) / _WIDTH)
    known = graph.rows >= 0
    heads = np.repeat(np.arange(size), near).reshape(size, near)
    matrix = csr_array((weights[known], (heads[known], graph.rows[known])), shape=(size, size))
    matrix = matrix.maximum(matrix.T)
    degree = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1e-12)
    scale = diags_array(1 / np.sqrt(degree))
    matrix = scale @ matrix @ scale
    start = np.zeros((size, count))
    rows = np.flatnonzero(labels != UNKNOWN)
    start[rows, labels[rows]] = 1
    start /= np.maximum(start.sum(axis=0), 1)
    found = start
    for _ in range(_ROUNDS):
        if should_stop():
            raise Cancelled("Stopped; nothing was learned.")
        found = _STAYS * (matrix @ found) + (1 - _STAYS) * start
    total = found.sum(axis=1, keepdims=True)
    even = np.full_like(found, 1 / count)
    return np.asarray(np.divide(found, total, out=even, where=total > 0))


def learn_map(
    request: LearnRequest,
    *,
    on_step: Callable[[str, Any], None] = lambda name, value: None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
    learn_with: Callable[..., Learned] = learn_groups,
) -> Learned:
    """Learn from groups, and lay the map out anew so that it shows what was learned.

    Its trust is still measured by the embeddings of before.

    Parameters
    ----------
    on_step
        Called with "learned", "places" (again and again) and "trust", see `make_map`.
    learn_with
        What learns, for a window that has it done elsewhere.
    """
    learned = learn_with(
        request.embeddings,
        request.graph,
        request.labels,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    on_step("learned", learned)
    near = max(GRAPH_NEIGHBOURS, request.config.neighbours - 1)
    graph = neighbours_of(
        learned.embeddings, near, on_progress=on_progress, should_stop=should_stop
    )

    def tell(places: NDArray[np.float32]) -> None:
        on_step("places", places)

    places = lay_out(
        learned.embeddings,
        graph,
        request.config,
        cache=request.cache,
        on_places=tell,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    on_step("places", places)
    trust = trust_of(request.embeddings, request.graph, places, should_stop=should_stop)
    on_step("trust", trust)
    return learned
