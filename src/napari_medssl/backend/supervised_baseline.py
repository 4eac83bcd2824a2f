"""What a network of the size of the autoencoder's encoder reaches when it is told the classes.

It is trained from nothing with cross-entropy, on the same images and views, in folds: each image
is told by a network that has not seen it. The ceiling beside which clusterings are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.autoencoder_config import TrainAutoencoderConfig, network_config
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.backend.train_steps import learning_rate_at
from napari_medssl.backend.training_views import sampling

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDS = 5
STEPS = 150
_BATCH, _RATE, _AT_ONCE = 64, 1e-3, 256


def supervised_accuracy(
    squares: NDArray[np.uint8],
    truth: NDArray[np.int64],
    *,
    folds: int = FOLDS,
    steps: int = STEPS,
    seed: int = 1,
    device: str = "auto",
    should_stop: ShouldStop = never,
) -> float:
    """Return the part of the images whose class a network tells that has not seen them.

    Parameters
    ----------
    squares
        uint8 RGB, shape (N, S, S, 3), S 32, 64 or 128.
    truth
        Class of each, from 0, shape (N,).
    folds
        Parts, of which each is told by a network trained on the others; fewer where a class has
        fewer images.
    steps
        Of each training, 64 images each.

    Raises
    ------
    Cancelled
        If it was asked to stop.
    """
    import torch
    from sklearn.model_selection import StratifiedKFold

    fewest = int(np.bincount(truth)[np.unique(truth)].min())
    parts = min(folds, fewest)
    if parts < 2:
        return float("nan")
    images = torch.from_numpy(np.ascontiguousarray(squares.transpose(0, 3, 1, 2)))
    labels = torch.from_numpy(truth)
    where = choose_device(device)
    right = 0
    split = StratifiedKFold(parts, shuffle=True, random_state=seed)
    for train, test in split.split(truth, truth):
        network = _fitted(images[train], labels[train], steps, seed, where, should_stop)
        right += int((_told(network, images[test], where) == labels[test]).sum())
    return right / len(truth)


def _fitted(
    images: Tensor, labels: Tensor, steps: int, seed: int, device: str, should_stop: ShouldStop
) -> nn.Module:
    import torch
    from torch.nn import functional as F

    from napari_medssl.methods.contrastive_autoencoder.network import ContrastiveAutoencoder
    from napari_medssl.methods.contrastive_autoencoder.views import (
        draw_batch,
        make_views,
        step_generator,
    )

    told = TrainAutoencoderConfig(data=Path(), out=Path(), size=str(images.shape[2]))
    torch.manual_seed(seed)
    shape = network_config(told, images.shape[1])
    head = torch.nn.Linear(shape.dim, int(labels.max()) + 1)
    network = torch.nn.Sequential(ContrastiveAutoencoder(shape).encoder, head).to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=_RATE)
    batch = min(_BATCH, len(images))
    for step in range(steps):
        if should_stop():
            raise Cancelled("Stopped; nothing is written.")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, steps, _RATE)
        numbers = draw_batch(len(images), batch, seed, step)
        views = make_views(
            images[numbers].to(device), sampling(told), step_generator(seed, 0, step)
        )
        loss = F.cross_entropy(network(views), labels[numbers].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()


def _told(network: nn.Module, images: Tensor, device: str) -> Tensor:
    import torch

    with torch.inference_mode():
        parts = [
            network(images[start : start + _AT_ONCE].to(device).float() / 255).argmax(dim=1).cpu()
            for start in range(0, len(images), _AT_ONCE)
        ]
    return torch.cat(parts)
