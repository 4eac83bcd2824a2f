"""Contrastive loss of pairs of tiles, in both printed forms.

Source: Gildenblat and Klaiman, arXiv 1905.08139; Hadsell, Chopra and LeCun, CVPR 2006, equation 4.
With y = 1 for far pairs, d the Euclidean distance of two embeddings and m the margin:

    plain     L = (1 - y) d   + y max(0, m - d)
    squared   L = (1 - y) d^2 + y max(0, m - d)^2

We differ: Hadsell's factor 1/2 is left out, as in the similarity papers.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

LossForm = Literal["squared", "plain"]

_TINY = 1e-12  # the root has no slope at zero, where a tile meets itself


def contrastive_loss(
    first: Tensor,
    second: Tensor,
    is_far: Tensor,
    *,
    margin: float = 1.0,
    form: LossForm = "squared",
) -> Tensor:
    """Return the mean loss of pairs, a scalar.

    Parameters
    ----------
    first, second
        Embeddings of the two tiles of each pair, shape (B, D).
    is_far
        Whether the pair is to be far apart, bool, shape (B,).
    margin
        Distance from which far pairs cost nothing; embeddings of unit length are at most 2 apart.
    form
        Which printed form.

    Raises
    ------
    ValueError
        If shapes do not fit or the form is unknown.
    """
    if first.shape != second.shape or is_far.shape != first.shape[:1]:
        raise ValueError(
            f"Pairs of {tuple(first.shape)} and {tuple(second.shape)} with {tuple(is_far.shape)} "
            "labels; due are two of (B, D) and (B,)."
        )
    distance = ((first - second).square().sum(dim=1) + _TINY).sqrt()  # (B,)
    return pair_loss(distance, is_far, margin=margin, form=form).mean()


def pair_loss(distance: Tensor, is_far: Tensor, *, margin: float, form: LossForm) -> Tensor:
    """Return the loss of each pair from the distances of its embeddings, of the same shape."""
    if form not in ("squared", "plain"):
        raise ValueError(f"Form {form!r} is unknown; due is 'squared' or 'plain'.")
    lacking = (margin - distance).clamp(min=0)
    cost = distance.where(~is_far, lacking)
    return cost.square() if form == "squared" else cost
