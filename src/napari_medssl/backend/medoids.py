"""The rows in the middle of each group: what a strip of pictures shows of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.clustering import find_clusters
from napari_medssl.backend.jobs import Cancelled, never

_NEAR = 0.98  # cosine: nearer than that, a second picture would show the same again
_TRIED = 20  # rows that are looked at for each that is shown
_BLOCK = 65_536


def medoids_of(
    embeddings: NDArray[np.float32],
    ids: NDArray[np.int32],
    count: int,
    *,
    should_stop: Callable[[], bool] = never,
) -> dict[int, NDArray[np.int64]]:
    """Return the most central rows of each group, the most central first.

    That is the greatest mean cosine to the rows of the group, which for unit length is the greatest
    cosine to their mean: no row is compared with another. One that looks the same as one before it
    (a cosine of 0.98) comes only where there are no others among the first.

    Parameters
    ----------
    embeddings
        Unit length, shape (N, D).
    ids
        Group of each row, 0 or more, shape (N,).
    count
        How many rows of each group at most.

    Raises
    ------
    Cancelled
        If it was asked to stop.
    """
    if len(ids) != len(embeddings) or count < 1:
        raise ValueError(f"{len(ids)} ids and count {count} came for {len(embeddings)} rows")
    if not len(ids):
        return {}
    order = np.argsort(ids, kind="stable")
    keys, starts = np.unique(ids[order], return_index=True)
    found: dict[int, NDArray[np.int64]] = {}
    for key, rows in zip(keys.tolist(), np.split(order, starts[1:]), strict=True):
        if should_stop():
            raise Cancelled("Stopped while looking for the middle of groups.")
        found[key] = _central(embeddings, rows, count)
    return found


def split_group(
    embeddings: NDArray[np.float32], rows: NDArray[np.int64], k: int, seed: int = 0
) -> NDArray[np.int64]:
    """Return a part for each of these rows by k-means, from 0, the largest first, shape (M,).

    Parameters
    ----------
    embeddings
        Of all rows, unit length, shape (N, D).
    rows
        Those of the group, shape (M,).
    k
        Parts, from 2 to M; of rows that are alike there may be fewer in the end.
    seed
        Of the starts.

    Raises
    ------
    UserError
        If there cannot be so many parts.
    """
    if not 2 <= k <= len(rows):
        raise UserError(
            f"A group of {len(rows)} rows cannot be split into {k!r} parts. Choose 2 to "
            f"{max(2, len(rows))} parts of a larger group."
        )
    return find_clusters(embeddings[rows], k, seed).labels


def _central(
    embeddings: NDArray[np.float32], rows: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    mean = np.zeros(embeddings.shape[1], np.float64)
    for start in range(0, len(rows), _BLOCK):
        mean += embeddings[rows[start : start + _BLOCK]].sum(axis=0, dtype=np.float64)
    middle = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    nearness = np.concatenate(
        [embeddings[rows[start : start + _BLOCK]] @ middle for start in range(0, len(rows), _BLOCK)]
    )
    tried = min(len(rows), count * _TRIED)
    part = np.argpartition(-nearness, tried - 1)[:tried]
    # Of equal ones the first row, so that the strip is the same each time.
    first = rows[part[np.lexsort((rows[part], -nearness[part]))]]
    chosen: list[int] = []
    alike: list[int] = []
    for row in first.tolist():
        if len(chosen) == count:
            break
        is_seen = bool(chosen) and float((embeddings[chosen] @ embeddings[row]).max()) > _NEAR
        (alike if is_seen else chosen).append(row)
    return np.array((chosen + alike)[:count], np.int64)
