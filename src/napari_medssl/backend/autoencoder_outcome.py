"""What a training of the autoencoder has come to: where embeddings lie, the card, what to tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from napari_medssl.backend.autoencoder import AT_ONCE, config_of, state_of
from napari_medssl.backend.autoencoder_config import (
    ARCHITECTURE,
    TASK,
    TrainAutoencoderConfig,
    clusters_wanted,
)
from napari_medssl.backend.models import ModelCard, Recipe, write_model
from napari_medssl.backend.sources import read_sources
from napari_medssl.methods.contrastive_autoencoder.latents import LatentGaussians
from napari_medssl.methods.contrastive_autoencoder.losses import reconstruction_error
from napari_medssl.methods.contrastive_autoencoder.network import ContrastiveAutoencoder


def fit_latents(network: ContrastiveAutoencoder, embeddings: Tensor) -> LatentGaussians:
    """Return the Gaussians of embeddings (N, d) of the training set, of all and of each cluster."""
    count, dim = embeddings.shape
    nearest, centres = torch.zeros(count, dtype=torch.int64), torch.zeros(0, dim)
    if network.prototypes is not None:
        centres = network.prototypes.centres.cpu()
        nearest = (embeddings @ centres.T).argmax(dim=1)
    latents = LatentGaussians(len(centres), dim)
    latents.fit(embeddings, nearest, centres)
    return latents


def mean_error(
    network: ContrastiveAutoencoder, embeddings: Tensor, images: Tensor, variance: float
) -> float:
    """Return the mean reconstruction error of images as they are, without the changes of views.

    Parameters
    ----------
    network
        In the mode of use.
    embeddings
        Of the images, on the CPU, shape (N, d).
    images
        uint8, on the CPU, shape (N, C, S, S).
    variance
        As in `reconstruction_error`.
    """
    device, total = network.start.weight.device, 0.0
    with torch.inference_mode():
        for start in range(0, len(images), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            decoded = network.decode(embeddings[rows].to(device)).cpu()
            error = reconstruction_error(decoded, images[rows].float() / 255, variance)
            total += float(error) * len(decoded)
    return total / len(images)


def write_autoencoder(
    config: TrainAutoencoderConfig,
    network: ContrastiveAutoencoder,
    latents: LatentGaussians,
    recipe: Recipe,
    metrics: dict[str, Any],
) -> ModelCard:
    """Write the model to `config.out` and return its card."""
    card = ModelCard(
        name=config.out.stem,
        task=TASK,
        architecture=ARCHITECTURE,
        config=config_of(network),
        recipe=recipe,
        data=read_sources(config.data, f"images of {config.data.name!r}"),
        metrics=metrics,
        licence="BSD-3-Clause",
        version="1",
        description="Embeds images, shares them among clusters, and decodes embeddings; "
        "trained without labels.",
    )
    return write_model(config.out, state_of(network, latents), card)


def remarks(
    config: TrainAutoencoderConfig, batch: int, metrics: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return what a person ought to know of a run.

    Parameters
    ----------
    batch
        Images that its steps had.
    metrics
        Those of its card.
    """
    told = []
    clusters, elbow, wanted = metrics["clusters"], metrics["elbow"], clusters_wanted(config)
    if batch < config.batch:
        told.append(
            f"There are {metrics['images']} images, fewer than --batch {config.batch}: steps had "
            f"{batch}."
        )
    if elbow and elbow["is_found"]:
        told.append(f"{clusters} clusters: the elbow of k-means with 1 to {elbow['most']}.")
    elif elbow:
        told.append(
            f"{clusters} clusters, the middle of the range: k-means with 1 to {elbow['most']} "
            "shows no elbow."
        )
    if config.steps and wanted is not None and clusters < wanted:
        told.append(f"{clusters} clusters rather than {wanted}: no more images differ.")
    if metrics["revived"]:
        told.append(f"Clusters that were empty were revived {metrics['revived']} times.")
    empty = [str(number) for number, size in enumerate(metrics["cluster_sizes"]) if not size]
    if empty:
        told.append(f"Clusters without an image at the end: {', '.join(empty)}.")
    return tuple(told)
