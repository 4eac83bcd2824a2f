"""In which order pictures are to be labelled, so that the first few already differ the most.

Farthest-point order (Gonzalez 1985): no k pictures cover all others with a radius of less than half
that of the first k of this order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_SPREAD = 200
"""Rows that are chosen one after the other; a person labels a few dozen at a time."""


def unlike_first(embeddings: NDArray[np.float32], most: int = MOST_SPREAD) -> NDArray[np.int64]:
    """Return all rows in an order in which the first k are as unlike each other as can be.

    The first is in the middle: it has the greatest cosine to the mean. Each further one is the one
    that is least like all before it. After `most` of them come the others, the least like those
    first. Rows that are alike stay in their order.

    Parameters
    ----------
    embeddings
        Unit length, shape (N, D).
    most
        How many are chosen one after the other.
    """
    count = len(embeddings)
    if not count:
        return np.zeros(0, np.int64)
    chosen = [int(np.argmax(embeddings @ embeddings.mean(axis=0)))]
    is_left = np.ones(count, bool)
    is_left[chosen] = False
    like = embeddings @ embeddings[chosen[0]]  # cosine to the most alike of those chosen, (N,)
    while len(chosen) < min(most, count):
        row = int(np.argmin(np.where(is_left, like, np.inf)))
        chosen.append(row)
        is_left[row] = False
        np.maximum(like, embeddings @ embeddings[row], out=like)
    rest = np.flatnonzero(is_left)
    return np.concatenate([chosen, rest[np.argsort(like[rest], kind="stable")]]).astype(np.int64)
