"""How far each row of a map can be trusted: what was torn apart, and what only seems near.

Source: Venna & Kaski, ICANN 2001: trustworthiness and continuity, here of each row; their means
over the rows are the published measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.index.neighbour_graph import NeighbourGraph

EXACT_ROWS = 5_000
"""Up to so many rows ranks are counted among all, of more among `SAMPLE` rows drawn."""

SAMPLE = 1_000
NEIGHBOURS = 15

_BLOCK_VALUES = 30_000_000
_ROUNDING = 1e-6  # of two ways to add up a product: a row is not nearer than itself

Shares = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Trust:
    """Of N rows, each value from 0 to 1, float32 (N,).

    Attributes
    ----------
    trustworthiness
        1 if the rows near on the map are near indeed; less by how far in rank they are.
    continuity
        1 if the rows that are near are near on the map; less by how far in rank they are there.
    torn
        Part of the row's neighbours that are not even neighbours of its neighbours on the map.
    false
        Part of its neighbours on the map that are not even neighbours of its neighbours.
    neighbours
        k, how many rows count as near.
    """

    trustworthiness: Shares
    continuity: Shares
    torn: Shares
    false: Shares
    neighbours: int

    @property
    def mean_trustworthiness(self) -> float:
        """Return the trustworthiness of the map."""
        return float(self.trustworthiness.mean(dtype=np.float64))

    @property
    def mean_continuity(self) -> float:
        """Return the continuity of the map."""
        return float(self.continuity.mean(dtype=np.float64))


def trust_of(
    embeddings: NDArray[np.float32],
    graph: NeighbourGraph,
    places: NDArray[np.float32],
    *,
    neighbours: int = NEIGHBOURS,
    should_stop: ShouldStop = never,
) -> Trust:
    """Return the trust of each row of a map.

    Of more than `EXACT_ROWS` rows a rank is estimated: the part of `SAMPLE` drawn rows that is
    nearer, times the rows there are. Which rows are near is never estimated, so a row whose
    neighbours are the same on the map has 1 exactly.

    Parameters
    ----------
    embeddings
        Unit length, shape (N, D).
    graph
        Their nearest rows, `neighbours` of them at least.
    places
        On the map, shape (N, 2).
    neighbours
        k; less if there are too few rows: k is below half of them.
    should_stop
        Asked between blocks of rows.
    """
    count = len(places)
    k = min(neighbours, graph.rows.shape[1], (count - 1) // 2)
    if k < 1:
        ones, zeros = np.ones(count, np.float32), np.zeros(count, np.float32)
        return Trust(ones, ones.copy(), zeros, zeros.copy(), 0)
    near = np.ascontiguousarray(graph.rows[:, :k])
    shown = near_on_map(places, k)
    sample = _sample(count)
    lost = np.zeros((2, count), np.float64)
    step = max(1, _BLOCK_VALUES // max(len(sample) * 4, k * embeddings.shape[1]))
    for start in range(0, count, step):
        if should_stop():
            raise Cancelled("Stopped while the map was compared with the embeddings.")
        part = slice(start, min(start + step, count))
        lost[:, part] = _lost(embeddings, places, near, shown, sample, part)
    worst = k * (2 * count - 3 * k - 1) / 2
    trusted, kept = np.clip(1 - lost / worst, 0, 1).astype(np.float32)
    torn, false = _beyond(near, shown, should_stop), _beyond(shown, near, should_stop)
    return Trust(trusted, kept, torn, false, k)


def near_on_map(places: NDArray[np.float32], k: int) -> NDArray[np.int32]:
    """Return the `k` nearest rows of each row on the map, without itself, int32 (N, k)."""
    from scipy.spatial import KDTree

    count = len(places)
    _, found = KDTree(places).query(places, k + 1, workers=-1)
    itself = found == np.arange(count)[:, None]
    itself[~itself.any(axis=1), -1] = True  # of many rows at one place
    return np.asarray(found[~itself].reshape(count, k), np.int32)


def _sample(count: int) -> NDArray[np.int64]:
    if count <= EXACT_ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, SAMPLE, replace=False))


def _lost(
    embeddings: NDArray[np.float32],
    places: NDArray[np.float32],
    near: NDArray[np.int32],
    shown: NDArray[np.int32],
    sample: NDArray[np.int64],
    part: slice,
) -> NDArray[np.float64]:
    """Return the sums of (rank - k) of false and of torn neighbours of some rows, (2, B)."""
    values, here = embeddings[part], places[part]
    apart = 1 - values @ embeddings[sample].T  # (B, S)
    false = 1 - np.einsum("bd,bkd->bk", values, embeddings[shown[part]]) - _ROUNDING
    away = np.square(here[:, None] - places[sample]).sum(axis=-1)
    torn = np.square(here[:, None] - places[near[part]]).sum(axis=-1)
    rows = np.arange(part.start, part.stop)
    is_false = ~_holds(near[part], shown[part])
    is_torn = ~_holds(shown[part], near[part])
    return np.stack(
        [
            _excess(apart, false, is_false, rows, sample, len(places)),
            _excess(away, torn, is_torn, rows, sample, len(places)),
        ]
    )


def _excess(
    distances: NDArray[np.float32],
    asked: NDArray[np.float32],
    counts: NDArray[np.bool_],
    rows: NDArray[np.int64],
    sample: NDArray[np.int64],
    count: int,
) -> NDArray[np.float64]:
    """Return the sum of (rank - k) over the asked rows that count, (B,).

    The rank of a row is 1 more than the number of nearer ones; the row itself is none of them.
    """
    k = asked.shape[1]
    itself = rows[:, None] == sample
    distances = np.where(itself, np.inf, distances)
    others = len(sample) - itself.sum(axis=1)
    total = np.zeros(len(asked))
    for column in range(k):
        nearer = (distances < asked[:, column, None]).sum(axis=1)
        rank = 1 + nearer * (count - 1) / np.maximum(others, 1)
        total += np.where(counts[:, column], np.maximum(rank, k + 1) - k, 0)
    return total


def _holds(rows: NDArray[np.int32], asked: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which of `asked` (B, k) are among `rows` (B, k) of the same line."""
    return np.asarray((asked[:, :, None] == rows[:, None, :]).any(axis=2))


def _beyond(asked: NDArray[np.int32], steps: NDArray[np.int32], should_stop: ShouldStop) -> Shares:
    """Return the part of `asked` (N, k) that two steps in the graph `steps` (N, k) do not reach."""
    count, k = asked.shape
    found = np.zeros(count, np.float32)
    for start in range(0, count, 4096):
        if should_stop():
            raise Cancelled("Stopped while the map was compared with the embeddings.")
        part = slice(start, start + 4096)
        once = steps[part]
        reached = np.sort(np.concatenate([once, steps[once].reshape(len(once), -1)], axis=1))
        # One sorted line for all: rows of line i lie between i * count and (i + 1) * count.
        lines = np.arange(len(once), dtype=np.int64)[:, None] * count
        line, wanted = (reached + lines).ravel(), (asked[part] + lines).ravel()
        places = np.minimum(np.searchsorted(line, wanted), len(line) - 1)
        found[part] = (line[places] != wanted).reshape(-1, k).mean(axis=1)
    return found
