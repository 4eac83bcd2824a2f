"""Which patches of two tiles correspond, and what each of them brings to their similarity.

An embedding whose network ends in a mean over places and a linear head is itself a mean of local
embeddings (Zhou et al., Learning deep features for discriminative localization, CVPR 2016, say so
of class scores). With e_i those of the N places of a query, f_j those of the M places of a hit, z
and y their means, the similarity comes apart without a rest:

    cos(z, y) = 1 / (|z| |y|) * 1 / (N M) * sum_ij e_i . f_j

so that place i brings e_i . y / (N |z| |y|), and all places together the similarity. A patch is a
square of places and its local embedding the mean of theirs. Patches correspond if each is the
other's nearest (mutual nearest neighbours), by cosine. Those at the rim of a tile are left out:
convolutions see padding there, which makes the rims of any two tiles alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Local = NDArray[np.floating]
"""Local embeddings of a tile, shape (H, W, D)."""

Place = tuple[int, int]
"""Row and column of a place, or of the first place of a patch."""


@dataclass(frozen=True, slots=True)
class PatchMatch:
    """Two patches that correspond.

    Attributes
    ----------
    query, hit
        Row and column of the first place of each in its tile's grid.
    similarity
        Cosine of their local embeddings.
    contribution
        What they bring to the similarity of the tiles, the mean of both; over all places of a tile
        this sums up to the similarity.
    """

    query: Place
    hit: Place
    similarity: float
    contribution: float


def contributions(local: Local, other: Local) -> NDArray[np.float64]:
    """Return what each place of a tile brings to its similarity to another one, shape (H, W).

    The sum is the cosine of the two embeddings.
    """
    rows, whole = _rows(local), _rows(other).mean(axis=0)
    lengths = np.linalg.norm(rows.mean(axis=0)) * np.linalg.norm(whole)
    brought: NDArray[np.float64] = rows @ whole / (len(rows) * max(float(lengths), 1e-12))
    return brought.reshape(local.shape[:2])


def match_patches(
    query: Local, hit: Local, count: int = 6, *, side: int = 1, margin: int = 1
) -> tuple[PatchMatch, ...]:
    """Return the pairs of patches that correspond and weigh most in the similarity.

    Parameters
    ----------
    query, hit
        Local embeddings of the two tiles, shapes (H, W, D) and (H', W', D).
    count
        How many pairs at most.
    side
        Places along the side of a patch; two patches of a tile do not overlap.
    margin
        Places at the rim that no patch reaches.

    Returns
    -------
    Pairs, the one with the largest product of local embeddings first; none that counts against the
    similarity.
    """
    (one, query_grid), (other, hit_grid) = (
        _patches(query, side, margin),
        _patches(hit, side, margin),
    )
    if not len(one) or not len(other):
        return ()
    products = one @ other.T
    lengths = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None, :]
    cosines = products / np.maximum(lengths, 1e-12)
    nearest = cosines.argmax(axis=1)
    first = np.flatnonzero(cosines.argmax(axis=0)[nearest] == np.arange(len(one)))
    weights = products[first, nearest[first]]
    shares = contributions(query, hit)[..., None], contributions(hit, query)[..., None]
    brought = [_patches(each, side, margin)[0][:, 0] * side**2 for each in shares]
    found: list[PatchMatch] = []
    for row in first[np.argsort(-weights, kind="stable")]:
        column = nearest[row]
        if len(found) == count or products[row, column] <= 0:
            break
        match = PatchMatch(
            _place(row, query_grid, margin),
            _place(column, hit_grid, margin),
            float(min(1.0, cosines[row, column])),
            float(brought[0][row] + brought[1][column]) / 2,
        )
        if all(_are_apart(match, former, side) for former in found):
            found.append(match)
    return tuple(found)


def _rows(local: Local) -> NDArray[np.float64]:
    return np.asarray(local, np.float64).reshape(-1, local.shape[-1])


def _patches(local: Local, side: int, margin: int) -> tuple[NDArray[np.float64], Place]:
    """Return the means of all patches inside the margin, one a row, and how many down and across.

    A tile that has no room for one has none.
    """
    inside = np.asarray(local, np.float64)[
        margin : local.shape[0] - margin, margin : local.shape[1] - margin
    ]
    if min(inside.shape[:2]) < side:
        return np.empty((0, local.shape[-1])), (0, 0)
    windows = np.lib.stride_tricks.sliding_window_view(inside, (side, side), axis=(0, 1))
    means = windows.mean(axis=(-1, -2))
    return means.reshape(-1, local.shape[-1]), (means.shape[0], means.shape[1])


def _place(row: np.integer, grid: Place, margin: int) -> Place:
    return int(row) // grid[1] + margin, int(row) % grid[1] + margin


def _are_apart(one: PatchMatch, other: PatchMatch, apart: int) -> bool:
    def distance(a: Place, b: Place) -> int:
        return max(abs(a[0] - b[0]), abs(a[1] - b[1]))

    return min(distance(one.query, other.query), distance(one.hit, other.hit)) >= apart
