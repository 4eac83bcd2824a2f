"""The losses of local discrimination, each from its equation.

Source: Chen et al., Unsupervised Local Discrimination for Medical Images, arXiv 2108.09440;
patch discrimination is the loss of Ye et al., CVPR 2019 (arXiv 1904.03436), of cells for images.
With embeddings v of unit length, keys without gradient, temperatures t and t_r:

    (1)  P(i|j) = exp(v_i . v_j / t) / sum over k != i of exp(v_i . v_k / t)
    (2)  L_patch = -1/N sum_i [ log P(i|i') + sum over j != i, i' of log(1 - P(i|j)) ]
    (3)  L_mix = (2) of the cells of the mixed image with normalise(l v_A + (1 - l) v_B) as twins
    (4)  t_nk = normalise(mean over pixels of a_nk v_n),   T_k = normalise(mean_n t_nk)
    (5)  L_region = -1/(M K) sum_nk log [ exp(t_nk . T_k / t_r) / sum_j exp(t_nk . T_j / t_r) ]
    (6)  L_entropy = mean of -a log2 a - (1 - a) log2(1 - a)
    (7)  L_area = K sum_k (mean of a_k - 1/K)^2

We differ: nothing in (1) to (6). (7) is the area penalty that the released code defines and never
uses; its weight is 0 unless one is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST = 1e-6  # of a probability before its logarithm


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each loss counts; the published weights."""

    patch: float = 1.0
    mix: float = 1.0
    region: float = 10.0
    entropy: float = 0.1
    area: float = 0.0


def patch_discrimination(first: Tensor, second: Tensor, temperature: float = 0.1) -> Tensor:
    """Return equation 2, a scalar: each cell is its twin and none of the others.

    Parameters
    ----------
    first, second
        Embeddings of unit length, shape (N/2, D); row by row they are twins.
    """
    if first.shape != second.shape or first.ndim != 2 or len(first) < 2:
        raise ValueError(
            f"Cells of {tuple(first.shape)} and {tuple(second.shape)} came; due are two of (N, D), "
            "N at least 2."
        )
    cells = torch.cat([first, second])  # (N, D)
    half, count = len(first), len(cells)
    logits = cells @ cells.detach().T / temperature  # (N, N), keys without gradient
    itself = torch.eye(count, dtype=torch.bool, device=cells.device)
    log_p = logits.masked_fill(itself, -math.inf).log_softmax(dim=1)  # equation 1
    twin = itself.roll(half, dims=1)
    matched = log_p[twin]
    # Only for the others: at the twin, P is to become 1 and the logarithm minus infinity.
    others = log_p.masked_fill(itself | twin, -math.inf).exp()
    apart = torch.log1p(-others.clamp(max=1 - _LEAST)).sum(dim=1)
    return -(matched + apart).mean()


def hypersphere_mixup(
    mixed: Tensor, first: Tensor, second: Tensor, share: Tensor, temperature: float = 0.1
) -> Tensor:
    """Return equation 3, a scalar: a mixed image lies between its two on the hypersphere.

    Parameters
    ----------
    mixed, first, second
        Embeddings of unit length of the cells of the mixed image and of the images A and B that it
        is made of, shape (B, C, D).
    share
        How much of A is in the mixed image, shape (B,).
    """
    part = share[:, None, None]
    target = F.normalize(part * first + (1 - part) * second, dim=2).detach()
    return patch_discrimination(mixed.flatten(0, 1), target.flatten(0, 1), temperature)


def region_embeddings(embeddings: Tensor, assignments: Tensor) -> Tensor:
    """Return equation 4 left, the embedding of each region of unit length, shape (M, K, D).

    Parameters
    ----------
    embeddings
        Shape (M, D, H, W).
    assignments
        How much each pixel belongs to each region, shape (M, K, H, W).
    """
    if embeddings.shape[0] != assignments.shape[0] or embeddings.shape[2:] != assignments.shape[2:]:
        raise ValueError(
            f"Embeddings of {tuple(embeddings.shape)} and assignments of "
            f"{tuple(assignments.shape)} are not of the same pixels."
        )
    pixels = embeddings.shape[2] * embeddings.shape[3]
    sums = torch.einsum("mkp,mdp->mkd", assignments.flatten(2), embeddings.flatten(2))
    return F.normalize(sums / pixels, dim=2)


def region_discrimination(regions: Tensor, temperature: float = 0.2) -> Tensor:
    """Return equation 5, a scalar: a region is alike in all images, and unlike the others.

    Parameters
    ----------
    regions
        Embeddings of unit length of K regions in M images, shape (M, K, D).
    """
    prototypes = F.normalize(regions.mean(dim=0), dim=1)  # (K, D), with gradient
    logits = torch.einsum("mkd,jd->mkj", regions, prototypes) / temperature
    chances: Tensor = torch.diagonal(logits.log_softmax(dim=2), dim1=1, dim2=2)  # (M, K)
    return -chances.mean()


def assignment_entropy(assignments: Tensor) -> Tensor:
    """Return equation 6, a scalar in bits: 0 where every pixel belongs to one region alone."""
    a = assignments.clamp(_LEAST, 1 - _LEAST)
    nats: Tensor = torch.special.entr(a) + torch.special.entr(1 - a)
    return nats.mean() / math.log(2)


def area_penalty(assignments: Tensor) -> Tensor:
    """Return equation 7, a scalar: 0 where all regions are of one size, K - 1 where one has all.

    Parameters
    ----------
    assignments
        Shape (M, K, H, W); they add up to 1 at each pixel.
    """
    count = assignments.shape[1]
    areas = assignments.mean(dim=(0, 2, 3))
    return count * (areas - 1 / count).square().sum()
