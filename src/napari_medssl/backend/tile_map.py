"""A map of embeddings in two dimensions, the same each time: for a number, not for the eye."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 15  # UMAP's own default
_LEAST = 6  # UMAP's start needs more tiles than dimensions


def umap_places(embeddings: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32] | None:
    """Return the places of tiles on a UMAP, shape (N, 2); None for fewer than six tiles.

    Parameters
    ----------
    embeddings
        Of unit length, shape (N, D); distances are by cosine.
    """
    count = len(embeddings)
    if count < _LEAST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorFlow, and that a seed allows one thread only
        from umap import UMAP

        made = UMAP(
            n_neighbors=min(_NEIGHBOURS, count - 1), metric="cosine", random_state=seed
        ).fit_transform(embeddings)
    places: NDArray[np.float32] = np.asarray(made, np.float32)
    return places
