"""Instance discrimination: every tile is a class of its own; the rival of near and far pairs.

Source: Wu, Xiong, Yu and Lin, Unsupervised Feature Learning via Non-Parametric Instance
Discrimination, CVPR 2018 (arXiv 1805.01978). With f the embedding of an augmented tile i and v_j
the memory of tile j, both of unit length:

    P(i | f) = exp(v_i . f / t) / sum over j of exp(v_j . f / t)        (equation 2)
    L = -mean over the batch of log P(i | f)                            (equation 3)

We differ: the sum is over all tiles and never estimated by noise contrast: tiles that fit into
memory with their pixels have memories a thousand times smaller. And the memory starts with
embeddings of the tiles as they are, not at random: short runs would only wash out the noise.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TEMPERATURE = 0.07
MOMENTUM = 0.5


class MemoryBank(nn.Module):
    """The last known embedding of every tile, moved towards each new one.

    Parameters
    ----------
    embeddings
        What it starts with, shape (N, D); brought to unit length.
    momentum
        How much of a memory stays when a new embedding comes, from 0 to 1.
    """

    memory: Tensor

    def __init__(self, embeddings: Tensor, momentum: float = MOMENTUM) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("memory", F.normalize(embeddings.detach().float(), dim=1))

    @torch.no_grad()
    def update(self, numbers: Tensor, embeddings: Tensor) -> None:
        """Move the memories of some tiles towards their new embeddings.

        Parameters
        ----------
        numbers
            Of the tiles, int64, shape (B,), no tile twice.
        embeddings
            Of unit length, shape (B, D).
        """
        kept = self.momentum * self.memory[numbers]
        moved = kept + (1 - self.momentum) * embeddings.to(self.memory)
        self.memory[numbers] = F.normalize(moved, dim=1)


def instance_loss(
    embeddings: Tensor, numbers: Tensor, memory: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Return the mean loss of a batch, a scalar.

    Parameters
    ----------
    embeddings
        Of augmented tiles, unit length, shape (B, D).
    numbers
        Which tiles they are, int64, shape (B,).
    memory
        Of all tiles, unit length, shape (N, D); no slope goes into it.
    temperature
        By which similarities are divided; smaller looks at the most similar tiles alone.

    Raises
    ------
    ValueError
        If shapes do not fit or the temperature is not above zero.
    """
    if embeddings.shape[1:] != memory.shape[1:] or numbers.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Embeddings of {tuple(embeddings.shape)} came with {tuple(numbers.shape)} numbers and "
            f"a memory of {tuple(memory.shape)}; due are (B, D), (B,) and (N, D)."
        )
    if not temperature > 0:
        raise ValueError(f"Temperature {temperature!r} came; due is one above 0.")
    return F.cross_entropy(embeddings @ memory.detach().T / temperature, numbers)
