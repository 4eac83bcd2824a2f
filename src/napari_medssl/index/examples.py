"""Turn several examples, liked and not, into one direction to search along.

The direction w is the ridge regression whose prior is the mean m of the positive examples (the
maximum a posteriori of Bayesian linear regression, Bishop, PRML 3.3.1):

    w = argmin |w - m|^2 + (1 / ridge) sum_i (w . x_i - y_i)^2
      = m + X^T (X X^T + ridge I)^-1 (y - X m)

A positive is due to score as high as the mean does with itself (1 for a single one). A negative is
due to score what a tile of the library scores on average: no more like the positives than any
other. The answer is divided by its length, so that scores stay cosines.

Why this rather than Rocchio's formula, which takes a fixed share of the negatives' mean away: one
positive gives exactly the plain search; a negative that is unlike the positives anyway changes
next to nothing, one that is very like them much; and embeddings that all have high cosines with
each other, as those of most networks have, do no harm, since the scale is that of the library.
It costs a system of as many equations as there are examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError

RIDGE = 0.1
"""How freely examples may be missed, against moving away from the mean of the positives."""


def combine_examples(
    positives: NDArray[np.floating],
    negatives: NDArray[np.floating],
    background: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Return the unit-length direction, shape (D,), that the examples ask for.

    Parameters
    ----------
    positives
        Embeddings of tiles to find more of, shape (P, D), at least one.
    negatives
        Embeddings of tiles not wanted, shape (M, D), M may be 0.
    background
        Mean of the library's embeddings, shape (D,).

    Raises
    ------
    UserError
        If there is no positive, or the examples cancel each other out.
    """
    if not len(positives):
        raise UserError("There is no positive example to search for. Mark one with +.")
    liked = np.asarray(positives, np.float64)
    others = np.asarray(negatives, np.float64).reshape(-1, liked.shape[1])
    mean = liked.mean(axis=0)
    examples = np.concatenate([liked, others])  # (P + M, D)
    usual = float(np.asarray(background, np.float64) @ mean)
    due = np.concatenate([np.full(len(liked), mean @ mean), np.full(len(others), usual)])
    scored = examples @ mean
    # Neither a positive that scores more than the mean nor a negative below the usual is a miss.
    miss = np.concatenate(
        [
            np.maximum(due[: len(liked)] - scored[: len(liked)], 0),
            np.minimum(due[len(liked) :] - scored[len(liked) :], 0),
        ]
    )
    gram = examples @ examples.T + RIDGE * np.eye(len(examples))
    direction = mean + examples.T @ np.linalg.solve(gram, miss)
    length = float(np.linalg.norm(direction))
    if length < 1e-6:
        raise UserError(
            "The positive and the negative examples cancel each other out: they are alike. Take "
            "one of them back."
        )
    unit: NDArray[np.float32] = (direction / length).astype(np.float32)
    return unit
