"""The linear head that keeps near pairs together and all tiles apart, in closed form.

Of all linear maps with a given scatter of near pairs, it is the one with the most scatter of all
tiles: its rows are the leading generalised eigenvectors of S_all w = l (S_near + a I) w. That is
relevant component analysis (Shental et al., ECCV 2002), followed by a cut to D dimensions; the
squared contrastive loss asks for the same with its far pairs pushed without end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

_LEAST = 1e-6  # of the largest eigenvalue: below it a direction is noise of few tiles


def scatter(differences: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return half the mean outer product of differences of pairs, shape (P, P) of (M, P)."""
    rows = np.asarray(differences, np.float64)
    found: NDArray[np.float64] = rows.T @ rows / (2 * max(1, len(rows)))
    return found


def near_far_head(
    values: NDArray[np.floating],
    near_scatter: NDArray[np.floating],
    dim: int,
    shrinkage: float = 0.1,
) -> NDArray[np.float64]:
    """Return the rows of the head, most telling first, shape (K, P) with K <= D.

    Parameters
    ----------
    values
        Of all tiles, shape (N, P); their mean is taken off.
    near_scatter
        Half the mean outer product of the differences of near pairs, shape (P, P).
    dim
        Largest number of rows, D; fewer where the tiles do not spread in as many directions.
    shrinkage
        What is added to the near scatter in every direction, in parts of the tiles' mean variance:
        directions that hardly vary between near tiles must not drown the others.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than two tiles, or they are all alike.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"Values of shape {values.shape} came; due are at least two rows.")
    width = values.shape[1]
    if near_scatter.shape != (width, width):
        raise ValueError(f"A near scatter of {near_scatter.shape} came; due is {(width, width)}.")
    centred = values - values.mean(axis=0)
    spread = centred.T @ centred / len(values)
    level = shrinkage * float(np.trace(spread)) / width
    if level <= 0:
        raise ValueError("All tiles are alike; there is nothing to tell apart.")
    first = max(0, width - dim)
    size, axes = eigh(
        spread, near_scatter + level * np.eye(width), subset_by_index=[first, width - 1]
    )
    keep = size > _LEAST * size[-1]
    rows: NDArray[np.float64] = axes[:, keep][:, ::-1].T
    return rows
