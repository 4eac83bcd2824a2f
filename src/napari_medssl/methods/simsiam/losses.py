"""The loss of SimSiam, and how far its embeddings are spread.

Source: Chen and He, CVPR 2021 (arXiv 2011.10566). With z of the projector, p = h(z) of the
predictor, of two views each:

    (1)  D(p, z) = - p / |p| . z / |z|
    (4)  L = 1/2 D(p1, stop(z2)) + 1/2 D(p2, stop(z1)),   the mean over images

where stop() passes no slope. Without it one constant embedding is a minimum, L = -1: the standard
deviation of each channel of z / |z| is 0 then, and 1 / sqrt(D) if the z lie evenly around nothing
(section 4.1). We differ: nothing.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F


def negative_cosine(predicted: Tensor, projected: Tensor) -> Tensor:
    """Return equation 1, the mean over images, with no slope in `projected`: a scalar.

    Parameters
    ----------
    predicted, projected
        Of any length but zero, shape (B, D).

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    if predicted.shape != projected.shape or predicted.ndim != 2:
        raise ValueError(
            f"Embeddings of {tuple(predicted.shape)} and {tuple(projected.shape)} came; due are "
            "two of (B, D)."
        )
    return -F.cosine_similarity(predicted.float(), projected.detach().float(), dim=1).mean()


def simsiam_loss(predicted: tuple[Tensor, Tensor], projected: tuple[Tensor, Tensor]) -> Tensor:
    """Return equation 4, a scalar, of both views: p1 and p2, z1 and z2, each of shape (B, D)."""
    first = negative_cosine(predicted[0], projected[1])
    second = negative_cosine(predicted[1], projected[0])
    return (first + second) / 2


def spread(projected: Tensor) -> Tensor:
    """Return the mean standard deviation of the channels of z / |z|, times sqrt(D): a scalar.

    About 1 where embeddings lie evenly around nothing, 0 where all are one: collapsed.

    Parameters
    ----------
    projected
        Shape (B, D), B at least 2.
    """
    unit = F.normalize(projected.detach().float(), dim=1)
    return unit.std(dim=0).mean() * math.sqrt(projected.shape[1])
