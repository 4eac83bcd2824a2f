"""The losses of the contrastive autoencoder, each from its equation.

Source: Ferrante et al., arXiv 2209.12005; NT-Xent is that of Chen et al., arXiv 2002.05709. With
embeddings z of unit length, views 1 .. N and N + 1 .. 2 N of the same N images, temperature t, and
p(i) the other view of the image of view i:

    (1)  L_contrast = -1/(2 N) sum_i log [ exp(z_i . z_p(i) / t) / sum_{j != i} exp(z_i . z_j / t) ]
    (2)  L_rec = 1/N sum_{i <= N} |x_i - x^_i|^2 / V,   V = sum over pixels of their variance
    (3)  L = L_contrast + w L_rec, in both phases

We differ: the paper's criterion of reconstruction is not readable; ours is the squared error, and
V, the variance over all images, makes its scale alike for all sizes and kinds of images: 1 is what
the mean image costs. Of the two views the first are decoded, half the work: the second are drawn as
they are, and add nothing to the mean. The released code leaves (1) out of the second phase, where
clusters can drift together.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """Return equation 1, a scalar.

    Parameters
    ----------
    first, second
        Embeddings of two views of the same images, of any length but zero, shape (N, D).
    temperature
        By which cosines are divided; smaller looks at the most similar ones alone.

    Raises
    ------
    ValueError
        If shapes do not fit, there is one image alone, or the temperature is not above 0.
    """
    if first.shape != second.shape or first.ndim != 2 or len(first) < 2:
        raise ValueError(
            f"Embeddings of {tuple(first.shape)} and {tuple(second.shape)} came; due are two of "
            "(N, D), N at least 2."
        )
    if not temperature > 0:
        raise ValueError(f"Temperature {temperature!r} came; due is one above 0.")
    views = F.normalize(torch.cat([first, second]).float(), dim=1)  # (2 N, D)
    count = len(first)
    cosines = views @ views.T / temperature  # (2 N, 2 N)
    itself = torch.eye(2 * count, dtype=torch.bool, device=views.device)
    other = torch.arange(2 * count, device=views.device).roll(count)
    return F.cross_entropy(cosines.masked_fill(itself, -math.inf), other)


def reconstruction_error(decoded: Tensor, views: Tensor, variance: float) -> Tensor:
    """Return equation 2, a scalar: the part of the images' variance that is not explained.

    Parameters
    ----------
    decoded, views
        From 0 to 1, shape (N, C, S, S).
    variance
        Mean over pixels and channels of their variance over images, V / (C S S).
    """
    if decoded.shape != views.shape:
        raise ValueError(
            f"Images of {tuple(decoded.shape)} came for views of {tuple(views.shape)}."
        )
    return F.mse_loss(decoded.float(), views.float()) / variance
