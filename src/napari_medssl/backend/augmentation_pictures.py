"""Pictures made of a few labelled ones of a class, by a trained autoencoder.

Source: Ferrante et al., arXiv 2209.12005, hope that samples of the latent space serve as
augmentation. As there, a diagonal Gaussian is fitted to embeddings, here to those of the labelled
pictures of one class; or a place is drawn on the way between two of them. Both are decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.augmentation_config import PATHS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_medssl.backend.autoencoder import Autoencoder

_STEPS = 10  # of a way between two pictures; its ends are pictures that are there already


def labelled_of_each(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return the places of `count` pictures of each class, of all where a class has no more.

    Fewer of the same seed lie in more.

    Parameters
    ----------
    labels
        Class of each picture to train on.
    """
    parts = []
    for number in np.unique(labels).tolist():
        own = np.flatnonzero(labels == number)
        parts.append(np.random.default_rng([seed, 1, number]).permutation(own)[:count])
    return np.concatenate(parts)


def make_pictures(
    model: Autoencoder, embeddings: Tensor, labels: Tensor, way: str, count: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return `count` decoded pictures of each class, uint8 (M, C, S, S), and their classes (M,).

    Parameters
    ----------
    embeddings, labels
        Of the labelled pictures, shapes (N, d) and (N,).
    way
        PATHS for places between two pictures of a class; else a Gaussian of each class.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    drawn, classes = [], []
    for number in np.unique(labels.numpy()).tolist():
        own = embeddings[labels == number]
        draw = _draw_between if way == PATHS else _draw_around
        drawn.append(draw(own, count, generator))
        classes.append(torch.full((count,), number, dtype=torch.int64))
    decoded = model.decode(torch.cat(drawn))
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous(), torch.cat(classes)


def _draw_around(own: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw from the Gaussian of one class; of a single picture it has no spread."""
    import torch

    from napari_medssl.methods.contrastive_autoencoder.latents import LatentGaussians

    gaussian = LatentGaussians(0, own.shape[1])
    gaussian.fit(own, torch.zeros(len(own), dtype=torch.int64), own[:0])
    return gaussian.draw(count, generator)


def _draw_between(own: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw places on ways between two pictures of one class; of a single picture, itself."""
    import torch

    from napari_medssl.methods.contrastive_autoencoder.latents import path_between

    if len(own) == 1:
        return own.repeat(count, 1)
    found = []
    for _ in range(count):
        first, last = torch.randperm(len(own), generator=generator)[:2].tolist()
        place = int(torch.randint(1, _STEPS, (), generator=generator))
        found.append(path_between(own[first], own[last], _STEPS + 1)[place])
    return torch.stack(found)
