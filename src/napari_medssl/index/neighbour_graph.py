"""The nearest rows of every row: exact for some thousands, beyond that faiss's inverted lists.

How many lists are looked into is chosen by recall, measured with rows whose true neighbours are
found by comparing all. Rows that lie in no clusters would need most lists; then all are compared,
which is faster, unless there are so many that it would take minutes: their recall is lower, and
told as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECALL = 0.97
"""Part of the true neighbours that is looked for; see `NeighbourGraph.recall` for what is found."""

_EXACT_ROWS = 10_000
_BLOCK_ROWS = 4096
_MEASURED = 256
_PER_CENTRE = 40
_ROUNDS = 6
_LIST_COST = 8  # a row in a list takes as long as so many where all are compared
_MOST_PRODUCTS = 1.5e12  # of numbers, where all are compared: a minute of one core, about
_MOST_COMPARED = 8192  # rows with each, where all would be too many

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
        Part of the true neighbours among them: 1 if all were compared, else as measured with some
        rows of those they are looked for among.
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
    exact, index, recall = _indexes(values, width)
    for start in range(0, count, _BLOCK_ROWS):
        if should_stop():
            return None
        block = np.arange(start, min(start + _BLOCK_ROWS, count))
        found, similarities = _others(index, exact, values, block, width)
        rows[block], distances[block] = found, np.maximum(1 - similarities, 0)
        on_step(int(block[-1]) + 1, count, "finding neighbours")
    return NeighbourGraph(rows, distances, recall)


def nearest_among(
    queries: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    k: int,
    *,
    on_step: Callable[[int, int, str], None] = lambda done, total, what: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> NeighbourGraph | None:
    """Return the `k` nearest of other rows (N, D) for each query (M, D); None if stopped.

    How they are looked for depends on the other rows alone. The rest is as of `nearest_rows`.
    """
    count, width = len(queries), min(k, len(embeddings))
    rows, distances = np.zeros((count, width), np.int32), np.zeros((count, width), np.float32)
    exact, index, recall = _indexes(np.ascontiguousarray(embeddings, np.float32), width)
    for start in range(0, count, _BLOCK_ROWS):
        if should_stop():
            return None
        part = slice(start, start + _BLOCK_ROWS)
        found, similarities = _found(index, exact, queries[part], width)
        rows[part], distances[part] = found, np.maximum(1 - similarities, 0)
        on_step(min(part.stop, count), count, "finding neighbours")
    return NeighbourGraph(rows, distances, recall)


def _indexes(values: NDArray[np.float32], width: int) -> tuple[Any, Any, float]:
    """Return an index that compares all, the one to ask, and its recall."""
    exact = _flat(values)
    if len(values) <= _EXACT_ROWS:
        return exact, exact, 1.0
    return exact, *_lists(values, exact, width)


def _flat(values: NDArray[np.float32]) -> Any:
    import faiss

    index = faiss.IndexFlatIP(values.shape[1])
    index.add(values)
    return index


def _found(index: Any, exact: Any, asked: NDArray[np.float32], width: int) -> Found:
    asked = np.ascontiguousarray(asked, np.float32)
    similarities, found = index.search(asked, width)
    short = (found < 0).any(axis=1)  # the lists that were looked into held too few
    if short.any():
        similarities[short], found[short] = exact.search(asked[short], width)
    return found, similarities


def _others(
    index: Any, exact: Any, values: NDArray[np.float32], block: NDArray[np.int64], width: int
) -> Found:
    """Return the rows nearest to those of a block, without themselves, and similarities."""
    found, similarities = _found(index, exact, values[block], width + 1)
    itself = found == block[:, None]
    itself[~itself.any(axis=1), -1] = True  # among many that are alike it may be missing
    shape = (len(block), width)
    return found[~itself].reshape(shape), similarities[~itself].reshape(shape)


def _lists(values: NDArray[np.float32], exact: Any, width: int) -> tuple[Any, float]:
    """Return an index of inverted lists, or the exact one if that is faster, and its recall."""
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
    is_quick = count * count * dim <= _MOST_PRODUCTS
    most = lists // _LIST_COST if is_quick else max(1, _MOST_COMPARED * lists // count)
    recall = _choose_probes(index, exact, asked, width, most)
    return (exact, 1.0) if recall < RECALL and is_quick else (index, recall)


def _choose_probes(
    index: Any, exact: Any, asked: NDArray[np.float32], width: int, most: int
) -> float:
    """Set how many lists are looked into, `most` of them at most; return the recall."""
    least = exact.search(asked, width + 1)[0][:, -1:] - 1e-6
    index.nprobe = min(4, most)
    while True:
        # A row finds itself, which is no merit.
        hits = (index.search(asked, width + 1)[0] >= least).sum(axis=1) - 1
        recall = float(hits.mean() / width)
        if recall >= RECALL or index.nprobe >= most:
            return recall
        index.nprobe = min(math.ceil(1.5 * index.nprobe), most)
