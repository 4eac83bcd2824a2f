"""Exact search: every vector is compared. faiss reads the fp16 values as they lie.

The rows are shared out among threads, since faiss itself takes one thread for one query.
"""

from __future__ import annotations

import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.index.arrays import Half

Queries = NDArray[np.float32]
"""Unit-length vectors, shape (Q, D)."""

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Similarities and rows, both (Q, K), best first; row -1 where fewer are there."""

_BLOCK_ROWS = 65_536
_MOST_THREADS = 8


def core_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def forget_pages(vectors: Half) -> None:
    """Give back the memory of a mapped file that was read through; it is read again if need be."""
    file: Any = vectors.base
    if isinstance(file, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # Windows has no such call
        file.madvise(mmap.MADV_DONTNEED)


class ExactSearch:
    """Compares queries with all vectors of a range of rows. Safe in threads.

    Parameters
    ----------
    vectors
        float16, shape (N, D); read once, and held in memory as they are.
    rows
        Which of them.
    """

    def __init__(self, vectors: Half, rows: slice | None = None) -> None:
        import faiss

        rows = rows or slice(0, len(vectors))
        count, dim = rows.stop - rows.start, vectors.shape[1]
        threads = max(1, min(_MOST_THREADS, core_count(), count // 4096))
        edges = np.linspace(rows.start, rows.stop, threads + 1).astype(np.int64).tolist()
        self.rows = rows
        self._parts: list[tuple[slice, Any]] = []
        for start, stop in pairwise(edges):
            part = faiss.IndexScalarQuantizer(
                dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
            )
            for block in range(start, stop, _BLOCK_ROWS):
                part.add(np.asarray(vectors[block : min(block + _BLOCK_ROWS, stop)], np.float32))
            self._parts.append((slice(start, stop), part))
        forget_pages(vectors)
        # A thread of ours for each part: another team of faiss's threads would get in their way.
        self._pool = ThreadPoolExecutor(
            threads, "medssl search", initializer=faiss.omp_set_num_threads, initargs=(1,)
        )

    def search(self, queries: Queries, top: int, keep: NDArray[np.bool_] | None = None) -> Found:
        """Return the `top` nearest rows of each query.

        Parameters
        ----------
        queries
            float32, unit length, shape (Q, D).
        top
            How many.
        keep
            Rows that may be found, bool, shape of all rows (N,).
        """

        def one(part: tuple[slice, Any]) -> Found:
            rows, index = part
            chosen = None if keep is None else _selected(keep[rows])
            similarities, found = index.search(queries, top, params=chosen)
            return similarities, np.where(found >= 0, found + rows.start, -1)

        return merged(list(self._pool.map(one, self._parts)), top)


def search_rows(vectors: Half, rows: NDArray[np.int64], queries: Queries, top: int) -> Found:
    """Return the nearest of some rows (N,), not many, of each query; as `ExactSearch.search`."""
    similarity = queries @ np.asarray(vectors[rows], np.float32).T  # (Q, N)
    count = min(top, len(rows))
    best = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    return merged([(np.take_along_axis(similarity, best, 1), rows[best])], count)


def _selected(keep: NDArray[np.bool_]) -> Any:
    """Return search parameters that leave out what is not kept."""
    import faiss

    return faiss.SearchParameters(sel=selector(keep))


def selector(keep: NDArray[np.bool_]) -> Any:
    """Return faiss's selector of rows."""
    import faiss

    return faiss.IDSelectorBitmap(np.packbits(keep, bitorder="little"))


def merged(parts: list[Found], top: int) -> Found:
    """Return the best `top` of several findings of the same queries."""
    similarities = np.concatenate([part[0] for part in parts], axis=1)
    rows = np.concatenate([part[1] for part in parts], axis=1)
    similarities = np.where(rows >= 0, similarities, -np.inf).astype(np.float32)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :top]
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(rows, order, 1)
