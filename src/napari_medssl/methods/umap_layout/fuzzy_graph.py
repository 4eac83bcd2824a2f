"""The fuzzy graph of UMAP, and the curve that turns distances on the plane into memberships.

Source: McInnes, Healy & Melville, arXiv 1802.03426, algorithms 2 and 3, section 4.1; the numbers
are those of the package umap-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.methods.umap_layout.kernels import smooth_distances


@dataclass(frozen=True, slots=True)
class Edges:
    """Directed edges of a graph over N rows.

    Attributes
    ----------
    head, tail
        Rows, int32, shape (E,).
    weight
        Membership, 0 to 1, float32, shape (E,).
    """

    head: NDArray[np.int32]
    tail: NDArray[np.int32]
    weight: NDArray[np.float32]


def memberships(
    distances: NDArray[np.float32], neighbours: int, *, nearest_is_full: bool = True
) -> NDArray[np.float32]:
    """Return how much each neighbour belongs to a row, float32, shape (N, k).

    exp(-max(0, d - rho) / sigma): rho is the distance to the nearest neighbour that is not at 0,
    and sigma is such that the sum over the neighbours is log2 of their number.

    Parameters
    ----------
    distances
        To the neighbours of each row, nearest first, finite, shape (N, k).
    neighbours
        What log2 is taken of: with the row itself counted, as umap-learn does.
    nearest_is_full
        False takes rho as 0, as for rows that are placed among others.
    """
    # Added up here: in a loop of many cores the rounding would depend on their number.
    overall = float(distances.sum(dtype=np.float64)) / (len(distances) * (distances.shape[1] + 1))
    target = float(np.log2(neighbours))
    rho, sigma = smooth_distances(distances, target, overall, nearest_is_full)
    beyond = np.maximum(distances - rho[:, None], 0.0)
    found: NDArray[np.float32] = np.exp(-beyond / sigma[:, None]).astype(np.float32)
    return found


def fuzzy_edges(rows: NDArray[np.int32], weights: NDArray[np.float32]) -> Edges:
    """Return the union a + b - ab of the graph and its transpose, both directions of each edge.

    Parameters
    ----------
    rows, weights
        Neighbours of each row and their memberships, both (N, k).
    """
    from scipy.sparse import csr_matrix

    count, k = rows.shape
    starts = np.arange(0, count * k + 1, k)
    one = csr_matrix((weights.ravel(), rows.ravel(), starts), shape=(count, count))
    other = one.T.tocsr()
    both = (one + other - one.multiply(other)).tocoo()
    kept = both.data > 0
    head, tail = both.row[kept].astype(np.int32), both.col[kept].astype(np.int32)
    return Edges(head, tail, both.data[kept].astype(np.float32))


def curve_of(min_dist: float, spread: float = 1.0) -> tuple[float, float]:
    """Return a and b of the membership 1 / (1 + a d^2b) of two places at the distance d.

    It is fitted to 1 up to `min_dist` and exp(-(d - min_dist) / spread) from there.
    """
    from scipy.optimize import curve_fit

    d = np.linspace(0, 3 * spread, 300)
    wanted = np.where(d < min_dist, 1.0, np.exp(-(d - min_dist) / spread))
    (a, b), _ = curve_fit(lambda x, a, b: 1 / (1 + a * x ** (2 * b)), d, wanted)
    return float(a), float(b)
