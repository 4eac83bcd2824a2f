"""The nearest rows of every row: exact for some thousands, beyond that faiss's inverted lists.

How many lists are looked into is chosen by recall, measured with rows whose true neighbours are
found by comparing all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECALL = 0.97
"""Part of the true neighbours that is found, at least, of the rows it is measured with."""

_EXACT_ROWS = 10_000
_BLOCK_ROWS = 4096
_MEASURED = 256
_PER_CENTRE = 40
_ROUNDS = 6

Found = tuple[NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class NeighbourGraph:
    """The k nearest rows of each of N rows.

    Attributes
    ----------
    rows
        int32, shape (N, k), nearest first, without the row itself.
    distances
        1 - cosine, not below 0, float32, shape (N, k).
    recall
        Part of the true neighbours among them: 1 if all were compared, else as measured.
    """

    rows: NDArray[np.int32]
    distances: NDArray[np.float32]
    recall: float = 1.0


def nearest_rows(
    embeddings: NDArray[np.float32],
    k: int,
    *,
    on_step: Callable[[int, int, str], None] = lambda done, total, what: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> NeighbourGraph | None:
    """Return the `k` nearest rows of each row, or all others if there are fewer; None if stopped.

    Parameters
    ----------
    embeddings
        float32, unit length, finite, shape (N, D).
    k
        How many.
    on_step
        Called with rows done, rows in all, and words.
    should_stop
        Asked between blocks of rows.
    """
    count = len(embeddings)
    width = min(k, max(count - 1, 0))
    rows, distances = np.zeros((count, width), np.int32), np.zeros((count, width), np.float32)
    if not width:
        return NeighbourGraph(rows, distances)
    values = np.ascontiguousarray(embeddings, np.float32)
    on_step(0, count, "sorting embeddings")
    exact = _flat(values)
    index, recall = (exact, 1.0) if count <= _EXACT_ROWS else _lists(values, exact, width)
    for start in range(0, count, _BLOCK_ROWS):
        if should_stop():
            return None
        block = np.arange(start, min(start + _BLOCK_ROWS, count))
        found, similarities = _others(index, exact, values, block, width)
        rows[block], distances[block] = found, np.maximum(1 - similarities, 0)
        on_step(int(block[-1]) + 1, count, "finding neighbours")
    return NeighbourGraph(rows, distances, recall)


def nearest_among(
    queries: NDArray[np.float32], embeddings: NDArray[np.float32], k: int
) -> NeighbourGraph:
    """Return the `k` nearest of other rows (N, D) for each query (M, D), all compared."""
    index = _flat(np.ascontiguousarray(embeddings, np.float32))
    similarities, found = index.search(
        np.ascontiguousarray(queries, np.float32), min(k, len(embeddings))
    )
    return NeighbourGraph(found.astype(np.int32), np.maximum(1 - similarities, 0))


def _flat(values: NDArray[np.float32]) -> Any:
    import faiss

    index = faiss.IndexFlatIP(values.shape[1])
    index.add(values)
    return index


def _others(
    index: Any, exact: Any, values: NDArray[np.float32], block: NDArray[np.int64], width: int
) -> Found:
    """Return the rows nearest to those of a block, without themselves, and similarities."""
    similarities, found = index.search(values[block], width + 1)
    short = (found < 0).any(axis=1)  # the lists that were looked into held too few
    if short.any():
        similarities[short], found[short] = exact.search(values[block[short]], width + 1)
    itself = found == block[:, None]
    itself[~itself.any(axis=1), -1] = True  # among many that are alike it may be missing
    shape = (len(block), width)
    return found[~itself].reshape(shape), similarities[~itself].reshape(shape)


def _lists(values: NDArray[np.float32], exact: Any, width: int) -> tuple[Any, float]:
    """Return an index of inverted lists and its recall; the exact one if that needs most lists."""
    import faiss

    count, dim = values.shape
    lists = int(2 ** round(math.log2(2 * math.sqrt(count))))
    rng = np.random.default_rng(count)
    drawn = rng.choice(count, min(count, _PER_CENTRE * lists), replace=False)
    centres = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFFlat(centres, dim, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.spherical, index.cp.seed = _ROUNDS, True, 0
    index.cp.min_points_per_centroid = 1
    index.train(values[np.sort(drawn)])
    index.add(values)
    asked = values[np.sort(rng.choice(count, min(count, _MEASURED), replace=False))]
    least = exact.search(asked, width + 1)[0][:, -1:] - 1e-6
    index.nprobe = 4
    while index.nprobe <= lists // 4:
        recall = float((index.search(asked, width + 1)[0] >= least).mean())
        if recall >= RECALL:
            return index, recall
        index.nprobe = math.ceil(1.5 * index.nprobe)
    return exact, 1.0
