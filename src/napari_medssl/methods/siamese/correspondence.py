"""Which patches of two tiles correspond, and what each of them brings to their similarity.

An embedding whose network ends in a mean over places and a linear head is itself a mean of local
embeddings (Zhou et al., Learning deep features for discriminative localization, CVPR 2016, say so
of class scores). With e_i those of the N places of a query, f_j those of the M places of a hit, z
and y their means, the similarity comes apart without a rest:

    cos(z, y) = 1 / (|z| |y|) * 1 / (N M) * sum_ij e_i . f_j

so that place i brings e_i . y / (N |z| |y|), and all places together the similarity. Patches
correspond if each is the other's nearest (mutual nearest neighbours), by cosine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Local = NDArray[np.floating]
"""Local embeddings of a tile, shape (H, W, D)."""

Place = tuple[int, int]
"""Row and column of a patch."""


@dataclass(frozen=True, slots=True)
class PatchMatch:
    """Two patches that correspond.

    Attributes
    ----------
    query, hit
        Row and column of each in its tile's grid.
    similarity
        Cosine of their local embeddings.
    contribution
        What they bring to the similarity of the tiles, the mean of both; over all patches of a tile
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
    query: Local, hit: Local, count: int = 6, *, apart: int = 2
) -> tuple[PatchMatch, ...]:
    """Return the pairs of patches that correspond and weigh most in the similarity.

    Parameters
    ----------
    query, hit
        Local embeddings of the two tiles, shapes (H, W, D) and (H', W', D).
    count
        How many pairs at most.
    apart
        Patches that two pairs lie apart at least, in each tile: neighbours say the same.

    Returns
    -------
    Pairs, the one with the largest product of local embeddings first; none that counts against the
    similarity.
    """
    one, other = _rows(query), _rows(hit)
    products = one @ other.T
    lengths = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None, :]
    cosines = products / np.maximum(lengths, 1e-12)
    nearest = cosines.argmax(axis=1)
    first = np.flatnonzero(cosines.argmax(axis=0)[nearest] == np.arange(len(one)))
    weights = products[first, nearest[first]]
    brought = contributions(query, hit).ravel(), contributions(hit, query).ravel()
    found: list[PatchMatch] = []
    for row in first[np.argsort(-weights, kind="stable")]:
        column = nearest[row]
        if len(found) == count or products[row, column] <= 0:
            break
        match = PatchMatch(
            _place(row, query),
            _place(column, hit),
            float(min(1.0, cosines[row, column])),
            float(brought[0][row] + brought[1][column]) / 2,
        )
        if all(_are_apart(match, former, apart) for former in found):
            found.append(match)
    return tuple(found)


def _rows(local: Local) -> NDArray[np.float64]:
    return np.asarray(local, np.float64).reshape(-1, local.shape[-1])


def _place(row: np.integer, local: Local) -> Place:
    return int(row) // local.shape[1], int(row) % local.shape[1]


def _are_apart(one: PatchMatch, other: PatchMatch, apart: int) -> bool:
    def distance(a: Place, b: Place) -> int:
        return max(abs(a[0] - b[0]), abs(a[1] - b[1]))

    return min(distance(one.query, other.query), distance(one.hit, other.hit)) >= apart
