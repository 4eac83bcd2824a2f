"""Places of rows on the plane, by their fuzzy graph; and of more rows among those that have one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl.methods.umap_layout.fuzzy_graph import Edges
from napari_medssl.methods.umap_layout.kernels import advance, advance_among

PUSHES = 5
"""Rows drawn to push away for each edge that pulls, as in umap-learn."""

_SIDE = 10.0  # of the square that the layout begins in
_BLOCKS = 16  # even; of the result, not of the machine: half as many cores can work at once
_RATE_AMONG = 0.25

Places = NDArray[np.float32]


class Layout:
    """A layout that is on its way; the same for a seed, in whatever slices it is advanced.

    Parameters
    ----------
    edges
        Of `fuzzy_edges`.
    start
        Where the rows begin, shape (N, 2), of any scale.
    curve
        a and b of `curve_of`.
    epochs
        How many there are.
    seed
        Of the drawn rows, and of a little noise that parts rows which begin at one place.
    """

    def __init__(
        self,
        edges: Edges,
        start: Places,
        curve: tuple[float, float],
        epochs: int,
        seed: int = 0,
    ) -> None:
        self.epochs, self.done = epochs, 0
        self.places = _spread(start, seed)
        self._before = np.empty_like(self.places)
        self._curve = np.float32(curve[0]), np.float32(curve[1])
        self._seed = np.uint64(seed)
        kept = edges.weight * epochs >= edges.weight.max(initial=0.0)  # others are never taken
        head, tail, weight = edges.head[kept], edges.tail[kept], edges.weight[kept]
        order, self._starts = _rounds(head, tail, len(start))
        self._head, self._tail = head[order], tail[order]
        self._share = weight[order] / weight.max(initial=1e-12)

    def advance(self, epochs: int) -> None:
        """Move `places` by so many epochs, or as many as there are left."""
        last = min(self.done + epochs, self.epochs)
        advance(
            self.places,
            self._before,
            self._head,
            self._tail,
            self._share,
            self._starts,
            _BLOCKS,
            (self.done + 1, last + 1),
            self.epochs,
            *self._curve,
            self._seed,
            PUSHES,
        )
        self.done = last


def settle(
    rows: NDArray[np.int32],
    weights: NDArray[np.float32],
    others: Places,
    curve: tuple[float, float],
    epochs: int,
    seed: int = 0,
) -> Places:
    """Return places of M more rows, float32 (M, 2), each whatever others come with it.

    Parameters
    ----------
    rows, weights
        The neighbours of each among `others`, and their memberships, both (M, k).
    others
        Places that stay as they are, shape (N, 2).
    curve, epochs, seed
        As of `Layout`.
    """
    parts = weights / weights.sum(axis=1, keepdims=True)
    places: Places = np.einsum("mk,mkd->md", parts, others[rows]).astype(np.float32)
    # Of its nearest row, not of its number: so what comes with it does not matter.
    seeds = (rows[:, 0].astype(np.uint64) << np.uint64(32)) + np.uint64(seed)
    share = (weights / weights.max(axis=1, keepdims=True)).astype(np.float32)
    rate, a, b = np.float32(_RATE_AMONG), np.float32(curve[0]), np.float32(curve[1])
    advance_among(places, others, rows, share, seeds, epochs, rate, a, b, PUSHES)
    return places


def _spread(start: Places, seed: int) -> Places:
    """Return `start` in a square, with a little noise."""
    low, high = start.min(axis=0), start.max(axis=0)
    square = _SIDE * (start - low) / np.maximum(high - low, 1e-12)
    noise = np.random.default_rng(seed).normal(scale=1e-5 * _SIDE, size=start.shape)
    return np.ascontiguousarray(square + noise, np.float32)


def _rounds(
    head: NDArray[np.int32], tail: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of edges by round and slot, and where each slot starts.

    Rows are in blocks. Edges within one block are round 0; the pairs of blocks are the games of a
    tournament, in each of whose rounds a block plays once. The slot is the lower block.
    """
    one = head.astype(np.int64) * _BLOCKS // count
    other = tail.astype(np.int64) * _BLOCKS // count
    low, high = np.minimum(one, other), np.maximum(one, other)
    last = _BLOCKS - 1
    game = np.where(high < last, low + high, 2 * low) % last
    key = (np.where(low == high, 0, game + 1) * _BLOCKS + low).astype(np.uint16)
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], np.arange(_BLOCKS * _BLOCKS + 1))
    return order, starts.astype(np.int64)
