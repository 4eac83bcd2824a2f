"""One classifier of a comparison of augmentations, trained on few labelled pictures."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.class_transfer_run import measure_statistics
from napari_medssl.backend.jobs import ShouldStop
from napari_medssl.backend.train_steps import learning_rate_at
from napari_medssl.backend.transfer_run import Stopped, draw_evenly

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_medssl.backend.autoencoder import Autoencoder

PROBE, FINE_TUNING, SMALL = "linear probe", "fine-tuning", "from nothing"
CLASSIFIERS = (PROBE, FINE_TUNING, SMALL)
"""Of embeddings; of the encoder's weights; of the same network from random weights."""

_AT_ONCE = 256


@dataclass(frozen=True)
class Lesson:
    """What a classifier learns from, and is tested on.

    Attributes
    ----------
    images, labels
        Labelled pictures, uint8 (N, C, S, S), and the class of each from 0, (N,).
    made, made_labels
        Pictures made of them, none if there are none, and their classes; half of each step.
    viewed
        Whether each picture is mirrored, turned, cropped and recoloured at each step.
    unlabelled
        All pictures to train on, (M, C, S, S), for the statistics of batch normalisation.
    test
        Pictures to tell the classes of, (T, C, S, S).
    """

    images: Tensor
    labels: Tensor
    made: Tensor
    made_labels: Tensor
    viewed: bool
    unlabelled: Tensor
    test: Tensor


@dataclass(frozen=True)
class Schedule:
    """Steps of a classifier, pictures in each, and the peak of Adam's rate."""

    steps: int
    batch: int
    learning_rate: float


def views_of(images: Tensor, seed: int, step: int) -> Tensor:
    """Return a view of each picture, values 0 to 1, (B, C, S, S), always the same of a step."""
    from napari_medssl.methods.contrastive_autoencoder.views import (
        Sampling,
        make_views,
        step_generator,
    )
    from napari_medssl.methods.local_discrimination.coloring import Coloring

    # Milder than in pre-training: colour and size may be what a class is told by.
    how = Sampling(crop=0.6, colors=Coloring(0.2, 0.2, 0.2, 0.01, 0.0))
    return make_views(images, how, step_generator(seed, 3, step))


def probed(model: Autoencoder, lesson: Lesson, count: int, seed: int) -> NDArray[np.int64]:
    """Return the classes that logistic regression on embeddings gives to the test pictures.

    What is made weighs as much as what is labelled.

    Parameters
    ----------
    count
        Views of each class where they are asked for without made pictures.
    """
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    images, labels = lesson.made.float() / 255, lesson.made_labels
    if lesson.viewed and not len(images):
        classes = np.unique(lesson.labels.numpy()).tolist()
        own = [torch.nonzero(lesson.labels == number)[:, 0] for number in classes]
        rows = torch.cat([places[torch.arange(count) % len(places)] for places in own])
        images, labels = lesson.images[rows].float() / 255, lesson.labels[rows]
    if lesson.viewed:
        images = views_of((images * 255).to(torch.uint8), seed, 0)
    known = _embedded(model, lesson.images.float() / 255)
    more = _embedded(model, images)
    scaler = StandardScaler().fit(_embedded(model, lesson.unlabelled.float() / 255))
    weights = np.concatenate(
        [np.ones(len(known)), np.full(len(more), len(known) / max(1, len(more)))]
    )
    classifier = LogisticRegression(max_iter=1000).fit(
        scaler.transform(np.concatenate([known, more])),
        torch.cat([lesson.labels, labels]).numpy(),
        weights,
    )
    told = classifier.predict(scaler.transform(_embedded(model, lesson.test.float() / 255)))
    return np.asarray(told, np.int64)


def trained(
    model: Autoencoder,
    lesson: Lesson,
    schedule: Schedule,
    seed: int,
    *,
    from_weights: bool,
    classes: int,
    should_stop: ShouldStop,
) -> NDArray[np.int64]:
    """Return the classes that a network gives to the test pictures after training all weights.

    Both starts, and all ways to augment, draw the same head and labelled pictures from a seed.

    Raises
    ------
    Stopped
        If `should_stop` said so; it is asked before each step.
    """
    import torch

    network = _network(model, classes, seed, from_weights)
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    for step in range(schedule.steps):
        if should_stop():
            raise Stopped
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, schedule.steps, schedule.learning_rate)
        images, truth = _batch(lesson, schedule.batch, seed, step)
        loss = torch.nn.functional.cross_entropy(network(images.to(model.device)), truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    parts = _parts(lesson.unlabelled)
    # The last part may be a single picture, which has no statistics.
    whole = [part for part in parts if len(part) > 1]
    measure_statistics(network, (part.to(model.device).float() / 255 for part in whole))
    network.eval()
    with torch.inference_mode():
        told = [
            network(part.to(model.device).float() / 255).argmax(dim=1).cpu()
            for part in _parts(lesson.test)
        ]
    return np.asarray(torch.cat(told).numpy(), np.int64)


def _network(model: Autoencoder, classes: int, seed: int, from_weights: bool) -> nn.Module:
    import torch

    from napari_medssl.methods.contrastive_autoencoder.network import ContrastiveAutoencoder

    config = replace(model.network.config, clusters=0)
    torch.manual_seed(seed)
    head = torch.nn.Linear(config.dim, classes)
    if from_weights:
        encoder = copy.deepcopy(model.network.encoder).requires_grad_(True)
    else:
        encoder = ContrastiveAutoencoder(config).encoder
    return torch.nn.Sequential(encoder, head).to(model.device).train()


def _batch(lesson: Lesson, batch: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Return the pictures of a step, values 0 to 1, (B, C, S, S), and their classes (B,)."""
    import torch

    from napari_medssl.methods.contrastive_autoencoder.views import step_generator

    generator = step_generator(seed, 2, step)
    some = batch // 2 if len(lesson.made) else batch
    rows = draw_evenly(len(lesson.images), some, generator)
    images, truth = lesson.images[rows], lesson.labels[rows]
    if len(lesson.made):
        more = draw_evenly(len(lesson.made), batch - some, generator)
        images = torch.cat([images, lesson.made[more]])
        truth = torch.cat([truth, lesson.made_labels[more]])
    return (views_of(images, seed, step) if lesson.viewed else images.float() / 255), truth


def _embedded(model: Autoencoder, images: Tensor) -> NDArray[np.float32]:
    """Return embeddings (N, d) of pictures with values 0 to 1, (N, C, S, S)."""
    import torch

    with torch.inference_mode():
        parts = [model.network.embed(part.to(model.device)).cpu() for part in _parts(images)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def _parts(images: Tensor) -> list[Tensor]:
    return [images[start : start + _AT_ONCE] for start in range(0, max(1, len(images)), _AT_ONCE)]
