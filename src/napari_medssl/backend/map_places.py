"""Embeddings that a map can be made of, and their principal components, which it begins with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError

Embeddings = NDArray[np.float32]
Places = NDArray[np.float32]


def checked_rows(embeddings: Embeddings, due: int | None = None) -> Embeddings:
    """Return embeddings that can be laid out, float32, C order.

    Parameters
    ----------
    embeddings
        Shape (N, D).
    due
        D, if it is known.

    Raises
    ------
    UserError
        If there are none, they are no table, of another width, or hold NaN or infinity.
    """
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise UserError(
            f"Embeddings of shape {embeddings.shape} came; due is one row of numbers for each "
            "picture. Embed the pictures again."
        )
    if due is not None and embeddings.shape[1] != due:
        raise UserError(
            f"Embeddings of {embeddings.shape[1]} numbers came for a map of {due}. Embed them with "
            "the encoder that the map was made with."
        )
    sums = embeddings.sum(axis=1, dtype=np.float64)  # finite where all are; not N x D in memory
    bad = ~np.isfinite(sums)
    if bad.any():
        raise UserError(
            f"{int(bad.sum())} of {len(bad)} embeddings hold NaN or infinity, the first is row "
            f"{int(bad.argmax())} (from 0). Embed those pictures again, or take them out."
        )
    return np.ascontiguousarray(embeddings, np.float32)


def principal_places(embeddings: Embeddings) -> Places:
    """Return the first two principal components of rows (N, D), float32 (N, 2).

    Each points to where its longest loading is positive, so that they are the same each time.
    """
    values = checked_rows(embeddings)
    mean = values.mean(axis=0)
    spread = values.T @ values - len(values) * np.outer(mean, mean)
    _, axes = np.linalg.eigh(spread)
    axes = axes[:, ::-1][:, :2]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    places = (values - mean) @ (axes * np.where(signs == 0, 1, signs)).astype(np.float32)
    return np.pad(places, ((0, 0), (0, 2 - places.shape[1]))).astype(np.float32)
