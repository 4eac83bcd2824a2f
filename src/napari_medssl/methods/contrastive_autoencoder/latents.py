"""Where embeddings lie, for sampling: diagonal Gaussians of all and of each cluster, and paths.

Source: Ferrante et al., arXiv 2209.12005: one diagonal Gaussian N(mean(h), std(h)) is fitted to the
training set, h drawn from it, c computed from h, and both decoded.

We differ: each cluster has a Gaussian of its own besides, of which samples of the whole set come by
their counts, as between clusters there are no images; draws are brought to unit length as all
embeddings are; and a path between two embeddings follows the sphere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LatentGaussians(nn.Module):
    """The means and standard deviations of embeddings, of all (row 0) and of each cluster.

    Parameters
    ----------
    clusters
        K.
    dim
        Dimensions of an embedding, d.
    """

    mean: Tensor
    std: Tensor
    counts: Tensor

    def __init__(self, clusters: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(clusters + 1, dim))
        self.register_buffer("std", torch.ones(clusters + 1, dim))
        self.register_buffer("counts", torch.zeros(clusters + 1, dtype=torch.int64))

    @torch.no_grad()
    def fit(self, embeddings: Tensor, nearest: Tensor, centres: Tensor) -> None:
        """Fit them to the embeddings of a training set.

        A cluster of one image has no spread, one without images lies at its prototype.

        Parameters
        ----------
        embeddings
            Shape (N, d).
        nearest
            The cluster of each, from 0, int64, shape (N,).
        centres
            Prototypes, shape (K, d).
        """
        for row in range(len(self.mean)):
            members = embeddings if row == 0 else embeddings[nearest == row - 1]
            self.counts[row] = len(members)
            self.mean[row] = members.mean(dim=0) if len(members) else centres[row - 1]
            self.std[row] = members.std(dim=0) if len(members) > 1 else 0

    def draw(self, count: int, generator: torch.Generator, cluster: int | None = None) -> Tensor:
        """Return embeddings of unit length, shape (count, d), on the CPU.

        Parameters
        ----------
        generator
            On the CPU.
        cluster
            From 0; None draws from the one Gaussian of all.
        """
        row = 0 if cluster is None else cluster + 1
        mean, std = self.mean[row].cpu(), self.std[row].cpu()
        drawn = mean + std * torch.randn(count, len(mean), generator=generator)
        return F.normalize(drawn, dim=1)


def path_between(first: Tensor, last: Tensor, count: int) -> Tensor:
    """Return `count` embeddings of unit length in equal steps along the sphere, shape (count, d).

    Parameters
    ----------
    first, last
        Both ends, which are part of it, of unit length, shape (d,). Between opposite points, which
        have no shortest path, it is the one through the axis that they lie on least.
    """
    if first.shape != last.shape or first.ndim != 1 or count < 2:
        raise ValueError(
            f"{count} points between {tuple(first.shape)} and {tuple(last.shape)} are wanted; due "
            "are at least 2 between two of (d,)."
        )
    start, end = first.double(), last.double()
    across = end - (start @ end) * start
    if across.norm() < 1e-6:
        axis = torch.zeros_like(start)
        axis[start.abs().argmin()] = 1
        across = axis - (start @ axis) * start
    across = F.normalize(across, dim=0)
    angle = torch.atan2(end @ across, end @ start)
    turns = angle * torch.linspace(0, 1, count, dtype=torch.float64)
    return (turns.cos()[:, None] * start + turns.sin()[:, None] * across).to(first.dtype)
