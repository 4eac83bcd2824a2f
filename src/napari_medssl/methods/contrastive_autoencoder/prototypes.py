"""Prototypes of clusters: soft shares, a moving average over batches, and a new life when empty.

Source: Ferrante et al., arXiv 2209.12005. With embeddings h and prototypes b_k of unit length,
momentum m, and S_k the embeddings of a batch whose largest share is that of k:

    (5)  c = softmax(h^T B / T)
    (7)  b_k <- normalise(m b_k + (1 - m) mean of S_k)     where S_k is not empty

We differ: the released code replaces a prototype by the mean of one batch (m = 0), and a cluster
that is empty once stays where it is for ever. Here one that had no image for as many steps as are
asked for is moved to the image of the batch that fits its own prototype worst.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Prototypes(nn.Module):
    """The centres of K clusters.

    Parameters
    ----------
    centres
        Of any length but zero, shape (K, d).
    temperature
        T of equation 5.
    """

    centres: Tensor
    idle: Tensor
    revived: Tensor

    def __init__(self, centres: Tensor, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("centres", F.normalize(centres.detach().float(), dim=1))
        # Steps since a cluster had an image: part of the state, for a resumed run.
        idle = torch.zeros(len(centres), dtype=torch.int64, device=centres.device)
        self.register_buffer("idle", idle)
        self.register_buffer("revived", torch.zeros_like(idle[0]))  # how often, of all

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return equation 5, shape (B, K), of embeddings of unit length (B, d)."""
        shares: Tensor = (embeddings @ self.centres.T / self.temperature).softmax(dim=1)
        return shares

    @torch.no_grad()
    def update(self, embeddings: Tensor, momentum: float, patience: int) -> int:
        """Move the prototypes towards the embeddings of a batch; return how many were revived.

        Parameters
        ----------
        embeddings
            Of unit length, shape (B, d).
        momentum
            m of equation 7, from 0 to 1: how much of a prototype stays.
        patience
            Steps without an image after which a cluster is revived.
        """
        cosines = embeddings.float() @ self.centres.T  # (B, K)
        nearest = cosines.argmax(dim=1)
        members = F.one_hot(nearest, len(self.centres)).to(cosines)  # (B, K)
        counts = members.sum(dim=0)
        means = members.T @ embeddings.float() / counts.clamp(min=1)[:, None]
        moved = F.normalize(momentum * self.centres + (1 - momentum) * means, dim=1)
        has_any = counts > 0
        self.centres.copy_(torch.where(has_any[:, None], moved, self.centres))
        self.idle.copy_(torch.where(has_any, 0, self.idle + 1))
        empty = torch.nonzero(self.idle >= patience)[:, 0][: len(embeddings)]
        if len(empty):
            fit = cosines.gather(1, nearest[:, None])[:, 0]
            worst = fit.argsort(stable=True)[: len(empty)]
            self.centres[empty] = F.normalize(embeddings.float()[worst], dim=1)
            self.idle[empty] = 0
            self.revived += len(empty)
        return len(empty)
