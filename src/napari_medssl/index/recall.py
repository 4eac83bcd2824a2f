"""Measure the recall of an index with held-out queries, and choose how far it looks by that.

- Queries are tiles of the library that had no part in the making of the centres; a query's own tile
  does not count as found. Each is asked twice: among all tiles, and without its own slide, as
  retrieval across slides does. The lower recall counts.
- A tile counts as found if it is as similar as the tenth true neighbour: tiles that are equal, such
  as two of empty glass, are as good as each other. The same goes for the hundredth.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.index.exact import Queries, core_count, selector
from napari_medssl.index.flat import Flat

NEIGHBOURS = (10, 100)
"""Recall is measured for so many neighbours: of a list of hits, and of a gallery."""

LEAST_RECALL = 0.99

_TRUTH_ROWS = 16_384  # of a block of similarities to all held-out queries: 34 MB
SAME = 1e-5  # sums of the same products in another order differ by less


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall of the `top` nearest with `nprobe` lists, among all tiles and other slides' ones.

    Attributes
    ----------
    surely
        The lower of the two less two standard errors: what other queries will hardly fall below.
    """

    top: int
    nprobe: int
    all_tiles: float
    other_slides: float
    surely: float

    @property
    def value(self) -> float:
        """The one that counts."""
        return min(self.all_tiles, self.other_slides)


class HeldOut:
    """The similarity of the true neighbours of held-out queries, by comparing all.

    Attributes
    ----------
    vectors
        The queries, shape (Q, D).
    rows
        Their own rows, shape (Q,).
    least
        For each of `NEIGHBOURS` the similarity of the last of so many, shape (2, Q): among all
        tiles, and without the own slide.
    """

    def __init__(self, flat: Flat, queries: NDArray[np.int64]) -> None:
        self.rows = queries
        self.vectors: Queries = np.asarray(flat.vectors[queries], np.float32)
        self.is_live = np.zeros(len(flat.vectors), bool)
        for one in flat.live.values():
            self.is_live[one.start : one.start + one.rows] = True
        self.slides = np.zeros((len(queries), 2), np.int64)  # first and last row + 1 of the slide
        for one in flat.segments:
            inside = (queries >= one.start) & (queries < one.start + one.rows)
            self.slides[inside] = one.start, one.start + one.rows
        self._flat = flat
        self.least: dict[int, NDArray[np.float32]] = {}

    def slide_of(self, query: int) -> str:
        """Return the fingerprint of a query's slide."""
        row = int(self.rows[query])
        return next(
            one.slide for one in self._flat.segments if one.start <= row < one.start + one.rows
        )

    def find(
        self, on_step: Callable[[int, int, str], None], should_stop: Callable[[], bool]
    ) -> bool:
        """Compare with every row; say whether it came to the end."""
        vectors = self._flat.vectors
        best = np.full((2, len(self.rows), max(NEIGHBOURS)), -np.inf, np.float32)
        for start in range(0, len(vectors), _TRUTH_ROWS):
            if should_stop():
                return False
            block = np.asarray(vectors[start : start + _TRUTH_ROWS], np.float32)
            similarity = self.vectors @ block.T  # (Q, rows)
            similarity[:, ~self.is_live[start : start + len(block)]] = -np.inf
            own = np.flatnonzero((self.rows >= start) & (self.rows < start + len(block)))
            similarity[own, self.rows[own] - start] = -np.inf
            best[0] = _best(best[0], similarity)
            for query, (first, end) in enumerate(self.slides):
                similarity[query, max(0, first - start) : max(0, end - start)] = -np.inf
            best[1] = _best(best[1], similarity)
            on_step(start + len(block), len(vectors), "comparing held-out queries")
        best.sort(axis=2)
        self.least = {top: best[:, :, -top] for top in NEIGHBOURS}
        return True


def _best(former: NDArray[np.float32], block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest values of both, in the shape of the former, (Q, K)."""
    count = former.shape[1]
    # Only a few of a block are better than what is known: no others are looked at.
    worst = former.min(axis=1)
    result = former.copy()
    for query in np.flatnonzero((block > worst[:, None]).any(axis=1)):
        values = np.concatenate([former[query], block[query][block[query] > worst[query]]])
        result[query] = np.partition(values, -count)[-count:]
    return result


def calibrated(index: Any, truth: HeldOut) -> tuple[Recall, ...]:
    """Return for each of `NEIGHBOURS` the recall with the least `nprobe` that is enough."""
    reached: list[Recall] = []
    for top in NEIGHBOURS:
        reached.append(_calibrated(index, truth, top, reached[-1].nprobe if reached else 1))
    return tuple(reached)


def _calibrated(index: Any, truth: HeldOut, top: int, start: int) -> Recall:
    """Return the recall, measured with one half of the queries, `nprobe` chosen by the other."""
    half = np.arange(len(truth.rows)) % 2 == 0

    def is_enough(nprobe: int) -> bool:
        return measure(index, truth, top, nprobe, half).surely >= LEAST_RECALL

    low, high = start - 1, start
    while high < index.nlist and not is_enough(high):
        low, high = high, min(2 * high, index.nlist)
    while high - low > max(1, high // 16):
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    while True:
        reported = measure(index, truth, top, high, ~half)
        if reported.value >= LEAST_RECALL or high >= index.nlist:
            return reported
        high = min(index.nlist, high + max(1, high // 8))


def measure(index: Any, truth: HeldOut, top: int, nprobe: int, chosen: NDArray[np.bool_]) -> Recall:
    """Return the recall of the `top` nearest for the chosen queries, bool (Q,)."""
    import faiss

    live = None if truth.is_live.all() else selector(truth.is_live)

    def share(query: int, kind: int) -> float:
        first, end = (truth.rows[query], truth.rows[query] + 1) if not kind else truth.slides[query]
        allowed = faiss.IDSelectorNot(faiss.IDSelectorRange(int(first), int(end)))
        if live is not None:
            allowed = faiss.IDSelectorAnd(live, allowed)
        found, _ = index.search(
            truth.vectors[query : query + 1],
            top,
            params=faiss.SearchParametersIVF(nprobe=nprobe, sel=allowed),
        )
        least = truth.least[top][kind, query]
        # With fewer than `top` tiles there is nothing to choose from.
        return float((found[0] >= least - SAME).mean()) if np.isfinite(least) else 1.0

    queries = np.flatnonzero(chosen).tolist()
    with ThreadPoolExecutor(
        core_count(), initializer=faiss.omp_set_num_threads, initargs=(1,)
    ) as pool:
        shares = np.array(
            [list(pool.map(share, queries, [kind] * len(queries))) for kind in (0, 1)]
        )
    means = shares.mean(axis=1)
    errors = shares.std(axis=1) / np.sqrt(max(len(queries), 1))
    surely = float((means - 2 * errors).min())
    return Recall(top, nprobe, float(means[0]), float(means[1]), surely)
