"""Make LanceDB's index of a mirror, and choose how far it looks by measured recall.

The index is IVF with RaBitQ codes (Gao and Long, SIGMOD 2024: one bit a dimension): 16 bytes a tile
of 128 dimensions and some numbers beside, so that a query reads little from an object store. As
with our own index the lists to look into are raised until held-out tiles find .99 of their true
neighbours, among all tiles and without their own slide, and what is reported was measured with
others: see `index.recall`, whose truth is the library itself. We differ: LanceDB draws the tiles
that the lists are made of, so a held-out one may be among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.index.approximate import Reach
from napari_medssl.index.engine import EngineEntry, SearchWay
from napari_medssl.index.engine_search import nearest, vectors_of
from napari_medssl.index.flat import Flat
from napari_medssl.index.recall import LEAST_RECALL, NEIGHBOURS, SAME, HeldOut

LEAST_ROWS = 100_000
"""With fewer tiles an engine compares them all."""

_REFINE, _MOST_REFINE = 10, 320
_LIST_ROWS = 4096  # a list is read whole: 64 kB and more of codes
_MOST_NEW = 0.1  # part of the rows that came or went from which it is made again
_QUERIES = 64  # to choose by, and as many again to report
_KEPT = timedelta(days=1)  # former versions, which a search under way may still read


def needs_engine_index(way: SearchWay, rows: int) -> bool:
    """Say whether an index is missing or has fallen behind."""
    return rows >= LEAST_ROWS and (not way.rows or way.changed > _MOST_NEW * rows)


def measured_way(
    tiles: Any,
    entry: EngineEntry,
    flat: Flat,
    *,
    on_step: Callable[[int, int, str], None] = lambda done, total, what: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> SearchWay | None:
    """Make the index of a mirror and measure it; None if told to stop.

    Parameters
    ----------
    tiles
        The table.
    entry
        Its collection.
    flat
        The library's vectors: the truth.
    on_step
        Called with rows done, rows in all, and words.
    should_stop
        Asked between steps; making the lists itself is one.
    """
    rows = int(tiles.count_rows())
    on_step(0, rows, "making the engine's index")
    tiles.optimize(cleanup_older_than=_KEPT)  # one commit left a file each
    tiles.create_index("slide", config=_by_slide(), replace=True)
    tiles.create_index("vector", config=_by_vector(rows, entry.set_up.dim), replace=True)
    live = np.concatenate(
        [np.arange(one.start, one.start + one.rows) for one in flat.live.values()]
    )
    drawn = np.random.default_rng(rows).choice(live, min(len(live), 2 * _QUERIES), replace=False)
    truth = HeldOut(flat, np.sort(drawn))
    if should_stop() or not truth.find(on_step, should_stop):
        return None
    trial = _Trial(tiles, entry, truth, list_count(rows))
    reaches: list[Reach] = []
    for top in NEIGHBOURS:
        on_step(rows, rows, f"measuring recall@{top}")
        reaches.append(trial.calibrated(top))
        if should_stop():
            return None
    return SearchWay(rows, trial.refine, tuple(reaches))


class _Trial:
    """Raises lists and candidates until enough is found; both only grow.

    Attributes
    ----------
    refine
        See `SearchWay`.
    """

    def __init__(self, tiles: Any, entry: EngineEntry, truth: HeldOut, lists: int) -> None:
        self._tiles, self._entry, self._truth, self._lists = tiles, entry, truth, lists
        self._is_chosen_by = np.arange(len(truth.rows)) % 2 == 0
        self.refine, self._nprobe = _REFINE, 1

    def calibrated(self, top: int) -> Reach:
        """Return how far to look for `top`: chosen by half of the queries, measured with others."""
        while True:
            share, surely = self._recall(top, self._is_chosen_by)
            if surely >= LEAST_RECALL or not self._raise(top, share):
                break
        while True:
            share, _ = self._recall(top, ~self._is_chosen_by)
            if share >= LEAST_RECALL or self._nprobe >= self._lists:
                return Reach(top, self._nprobe, share)
            self._nprobe = min(self._lists, math.ceil(1.25 * self._nprobe))

    def _raise(self, top: int, share: float) -> bool:
        """Look farther, in the way that brings more; say whether there was one left."""
        if self.refine < _MOST_REFINE:
            self.refine *= 2
            if self._recall(top, self._is_chosen_by)[0] - share > 0.3 * (1 - share):
                return True
            if self._nprobe < self._lists:
                self.refine //= 2  # what is missing lies in other lists
        elif self._nprobe >= self._lists:
            return False
        # Far from it lists are doubled, near it they are raised by a quarter.
        factor = 2 if share < 0.9 else 1.25
        self._nprobe = min(self._lists, math.ceil(factor * self._nprobe))
        return True

    def _recall(self, top: int, chosen: NDArray[np.bool_]) -> tuple[float, float]:
        """Return the lower recall of all tiles' and of other slides', and it less two errors."""
        way = SearchWay(1, self.refine, (Reach(top, self._nprobe, 0.0),))
        tried = EngineEntry(self._entry.set_up, self._entry.encoder_given, way)
        queries = np.flatnonzero(chosen).tolist()
        shares = np.array(
            [[self._share(tried, query, top, kind) for query in queries] for kind in (0, 1)]
        )
        means = shares.mean(axis=1)
        errors = shares.std(axis=1) / math.sqrt(max(len(queries), 1))
        return float(means.min()), float((means - 2 * errors).min())

    def _share(self, tried: EngineEntry, query: int, top: int, kind: int) -> float:
        """Return the part of a query's true neighbours that is found; of other slides' if 1."""
        least = self._truth.least[top][kind, query]
        if not np.isfinite(least):
            return 1.0  # with fewer than `top` tiles there is nothing to choose from
        vector = self._truth.vectors[query]
        unit = vector / np.linalg.norm(vector)
        # Its own tile is the first that is found.
        out = [self._truth.slide_of(query)] if kind else []
        found = nearest(self._tiles, tried, unit, top + (not kind), out)
        similarity = np.sort(vectors_of(found) @ vector)[::-1][not kind :]
        return float((similarity[:top] >= least - SAME).sum() / top)


def list_count(rows: int) -> int:
    """Return the number of lists that so many tiles are sorted into."""
    return max(1, min(round(rows / _LIST_ROWS), 2 * round(math.sqrt(rows))))


def _by_vector(rows: int, dim: int) -> Any:
    from lancedb.index import IvfFlat, IvfRq

    kind = IvfFlat if dim % 8 else IvfRq  # a code is made of whole bytes
    return kind(distance_type="cosine", num_partitions=list_count(rows))


def _by_slide() -> Any:
    from lancedb.index import BTree

    return BTree()
