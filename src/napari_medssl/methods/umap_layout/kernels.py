"""The loops of UMAP, compiled by numba and kept on the disk: a later process starts at once.

Source: McInnes, Healy & Melville, arXiv 1802.03426, algorithms 3 and 5.

We differ in the order of the steps. umap-learn with a seed takes the edges one after the other on
one core; without one, cores write over each other and no run is like the last. Here rows are in
blocks, and at any time each pair of blocks that is worked on has its blocks for itself, so a step
never meets another. Rows that push away are taken from where they were when the epoch began. So
the result depends on the seed alone, and not on how many cores there are.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FAR = np.float32(4.0)  # the longest step along an axis
_TOLERANCE = 1e-5
_LEAST_SCALE = 1e-3


@njit(inline="always", cache=True)
def _mixed(state):  # type: ignore[no-untyped-def]
    """Return 64 random bits of a counter (splitmix64)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@njit(inline="always", cache=True)
def _step(value):  # type: ignore[no-untyped-def]
    return min(max(value, -_FAR), _FAR)


@njit(inline="always", cache=True)
def _is_due(share, epoch):  # type: ignore[no-untyped-def]
    """Say whether an edge is taken in an epoch, from 1: `share` of the epochs, evenly spread."""
    return int(np.float32(epoch) * share) > int(np.float32(epoch - 1) * share)


@njit(inline="always", cache=True)
def _pull(squared, a, b):  # type: ignore[no-untyped-def]
    power = squared**b
    return np.float32(-2) * a * b * power / (squared * (a * power + np.float32(1)))


@njit(inline="always", cache=True)
def _push(squared, a, b):  # type: ignore[no-untyped-def]
    shape = a * squared**b + np.float32(1)
    return np.float32(2) * b / ((np.float32(1e-3) + squared) * shape)


@njit(parallel=True, cache=True, nogil=True)
def smooth_distances(distances, target, overall, nearest_is_full):  # type: ignore[no-untyped-def]
    """Return rho and sigma of each row of distances (N, k), both float32 (N,); see `memberships`.

    sigma is found by bisection, and not let fall far below the mean distance, which rows that are
    alike would do. The row itself counts in means, at 0; `overall` is that of all rows.
    """
    count, k = distances.shape
    rho, sigma = np.zeros(count, np.float32), np.zeros(count, np.float32)
    for i in prange(count):
        nearest = 0.0
        if nearest_is_full:
            for j in range(k):
                if distances[i, j] > 0:
                    nearest = distances[i, j]
                    break
        low, high, middle = 0.0, np.inf, 1.0
        for _ in range(64):
            total = 0.0
            for j in range(k):
                total += np.exp(-max(0.0, distances[i, j] - nearest) / middle)
            if abs(total - target) < _TOLERANCE:
                break
            if total > target:
                high = middle
            else:
                low = middle
            middle = 2 * middle if high == np.inf else (low + high) / 2
        alone = nearest > 0 or not nearest_is_full
        mean = distances[i].sum() / (k + 1) if alone else overall
        rho[i], sigma[i] = nearest, max(middle, _LEAST_SCALE * mean, 1e-12)
    return rho, sigma


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
def advance(  # type: ignore[no-untyped-def]
    places, before, head, tail, share, starts, slots, epochs, total, a, b, seed, pushes
):
    """Move `places` (N, 2) through epochs [first, last), counted from 1, of `total`.

    Parameters
    ----------
    places, before
        float32; moved, and room for a copy.
    head, tail, share
        Edges by round and slot: rows, and the share of epochs in which each is taken.
    starts
        First edge of each slot of each round, and the end.
    slots
        Slots of a round; what lies in different ones has no row in common.
    epochs
        (first, last).
    a, b
        float32, of the curve.
    seed
        uint64.
    pushes
        Rows drawn to push away, for each edge that pulls.
    """
    one = np.float32(1)
    rows = np.uint64(len(places))
    for epoch in range(epochs[0], epochs[1]):
        rate = one - np.float32(epoch - 1) / np.float32(total)
        before[:] = places
        for first in range(0, len(starts) - 1, slots):
            for slot in prange(slots):
                for e in range(starts[first + slot], starts[first + slot + 1]):
                    if not _is_due(share[e], epoch):
                        continue
                    i, j = head[e], tail[e]
                    x, y = places[i, 0], places[i, 1]
                    dx, dy = x - places[j, 0], y - places[j, 1]
                    squared = dx * dx + dy * dy
                    if squared > 0:
                        pull = _pull(squared, a, b)
                        dx, dy = rate * _step(pull * dx), rate * _step(pull * dy)
                        x, y = x + dx, y + dy
                        places[j, 0] -= dx
                        places[j, 1] -= dy
                    state = _mixed(seed + np.uint64(e) * _GOLDEN) + np.uint64(epoch) * _GOLDEN
                    state = _mixed(state)
                    for _ in range(pushes):
                        state += _GOLDEN
                        j = np.int64(((_mixed(state) >> np.uint64(32)) * rows) >> np.uint64(32))
                        dx, dy = x - before[j, 0], y - before[j, 1]
                        squared = dx * dx + dy * dy
                        if j != i and squared > 0:
                            push = _push(squared, a, b)
                            x, y = x + rate * _step(push * dx), y + rate * _step(push * dy)
                    places[i, 0], places[i, 1] = x, y


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
def advance_among(  # type: ignore[no-untyped-def]
    places, others, rows, share, seeds, total, rate, a, b, pushes
):
    """Move `places` (M, 2) among `others` (N, 2), which stay, through `total` epochs.

    Each row goes its own way, whatever rows come with it.

    Parameters
    ----------
    places, others
        float32.
    rows, share
        The neighbours of each row among the others, and the share of epochs of each, (M, k).
    seeds
        uint64, one a row.
    rate
        float32, length of the first steps.
    """
    one = np.float32(1)
    count = np.uint64(len(others))
    for i in prange(len(places)):
        x, y = places[i, 0], places[i, 1]
        state = _mixed(seeds[i])
        for epoch in range(1, total + 1):
            now = rate * (one - np.float32(epoch - 1) / np.float32(total))
            for e in range(rows.shape[1]):
                if not _is_due(share[i, e], epoch):
                    continue
                dx, dy = x - others[rows[i, e], 0], y - others[rows[i, e], 1]
                squared = dx * dx + dy * dy
                if squared > 0:
                    pull = _pull(squared, a, b)
                    x, y = x + now * _step(pull * dx), y + now * _step(pull * dy)
                for _ in range(pushes):
                    state += _GOLDEN
                    j = np.int64(((_mixed(state) >> np.uint64(32)) * count) >> np.uint64(32))
                    dx, dy = x - others[j, 0], y - others[j, 1]
                    squared = dx * dx + dy * dy
                    if squared > 0:
                        push = _push(squared, a, b)
                        x, y = x + now * _step(push * dx), y + now * _step(push * dy)
        places[i, 0], places[i, 1] = x, y
