"""One run of a comparison of starts on pictures with classes: a linear probe, or fine-tuning.

Source: the linear classification and transfer of Chen and He, arXiv 2011.10566, section 5. We
differ: the probe is logistic regression rather than SGD, its inputs standardised by all pictures to
train on, which needs no labels; fine-tuning is short, as labels are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.class_transfer_data import ClassSet
from napari_medssl.backend.jobs import ShouldStop
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.train_steps import learning_rate_at
from napari_medssl.backend.transfer_run import Schedule, Stopped, draw_evenly

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

PROBE, FINE_TUNING = "linear probe", "fine-tuning"
HOW = (PROBE, FINE_TUNING)
_AT_ONCE = 64
_BATCHES, _MEASURED = 8, 32  # views of labelled pictures that statistics are measured on


@dataclass(frozen=True)
class Start:
    """Weights that the trunk starts from.

    Attributes
    ----------
    name
        As it stands in the table.
    sha256
        Of the weights; "" of random ones, which follow from the seed.
    load
        Gives the trunk of a seed, on the CPU; new ones each time.
    """

    name: str
    sha256: str
    load: Callable[[int], EfficientNetLite0]


def embed_set(trunk: EfficientNetLite0, known: ClassSet, device: str) -> NDArray[np.float32]:
    """Return the trunk's values of all pictures of a set, shape (N, 1280)."""
    import torch

    network, found = _on(trunk, device).eval(), []
    with torch.inference_mode():
        for start in range(0, len(known.pixels), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(known.pixels)))
            found.append(network(_pixels(known, rows, device)).float().cpu().numpy())
    return np.concatenate(found)


def probe(values: NDArray[np.float32], known: ClassSet, part: Sequence[int]) -> NDArray[np.integer]:
    """Return the classes that logistic regression gives to the test pictures.

    Parameters
    ----------
    values
        Of `embed_set`.
    part
        Which of the pictures to train on are labelled.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit(values[known.train]).transform(values)
    rows = known.train[list(part)]
    model = LogisticRegression(max_iter=1000).fit(scaled[rows], known.labels[rows])
    return np.asarray(model.predict(scaled[known.test]))


def fine_tune(
    start: Start,
    known: ClassSet,
    part: Sequence[int],
    seed: int,
    schedule: Schedule,
    device: str,
    *,
    on_step: Callable[[int, float], None],
    should_stop: ShouldStop,
) -> NDArray[np.integer]:
    """Return the classes of the test pictures after training all weights on the labelled ones.

    All starts draw the same head, the same pictures and the same views from a seed.

    Parameters
    ----------
    on_step
        Told after each step, with steps done and the loss.

    Raises
    ------
    Stopped
        If `should_stop` said so; it is asked before each step.
    """
    import torch

    network = _network(start, len(known.classes), seed, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    rows = known.train[list(part)]
    for step in range(schedule.steps):
        if should_stop():
            raise Stopped
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, schedule.steps, schedule.learning_rate)
        views, truth = _views(known, rows, schedule.batch, seed, step)
        with mixed_precision(device, schedule.amp and device != "cpu"):
            scores = network(views.to(device))
        loss = torch.nn.functional.cross_entropy(scores.float(), truth.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        on_step(step + 1, float(loss.detach()))
    after = range(schedule.steps, schedule.steps + _BATCHES)
    drawn = (_views(known, rows, _MEASURED, seed, step)[0].to(device) for step in after)
    measure_statistics(network, drawn)
    return _predict(network, known, device)


def measure_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of batch normalisation to their means over batches.

    In a short training the weights change faster than the statistics follow: from random weights
    the network then gives one class to all pictures, however well it has learned.
    """
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
    network.train()
    with torch.no_grad():
        for views in batches:
            network(views)


def scores_of(known: ClassSet, predicted: NDArray[np.integer]) -> list[list[float]]:
    """Return accuracy and balanced accuracy, then the recall of each class."""
    truth = known.labels[known.test]
    right = predicted == truth
    recalls = [float(right[truth == number].mean()) for number in range(len(known.classes))]
    whole = [float(right.mean()), float(np.mean(recalls))]
    return [[round(value, 6) for value in row] for row in (whole, recalls)]


def _network(start: Start, classes: int, seed: int, device: str) -> nn.Module:
    """Return the trunk of a start with a head that follows from the seed, ready to be trained."""
    import torch
    from torch import nn

    from napari_medssl.methods.siamese.trunk import TRUNK_DIM

    trunk = start.load(seed)
    trunk.follow_batches()
    torch.manual_seed(seed)
    return _on(nn.Sequential(trunk, nn.Linear(TRUNK_DIM, classes)), device).train()


def _on(network: nn.Module, device: str) -> nn.Module:
    import torch

    network.to(device)
    if device == "cpu":
        # `nn.Module.to` has no typed overload for a memory format alone.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _pixels(known: ClassSet, rows: NDArray[np.int64], device: str) -> Tensor:
    """Return pictures as the trunk takes them, shape (B, 3, S, S)."""
    import torch

    from napari_medssl.methods.siamese.trunk import normalise_pixels

    return normalise_pixels(torch.from_numpy(known.pixels[rows]).permute(0, 3, 1, 2).to(device))


def _views(
    known: ClassSet, rows: NDArray[np.int64], batch: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """Return a view of each picture of a step, shape (B, 3, S, S), and their classes."""
    import torch

    from napari_medssl.methods.contrastive_autoencoder.views import (
        Sampling,
        make_views,
        step_generator,
    )
    from napari_medssl.methods.local_discrimination.coloring import Coloring
    from napari_medssl.methods.siamese.trunk import normalise_pixels

    generator = step_generator(seed, 2, step)
    drawn = rows[draw_evenly(len(rows), batch, generator)]
    pictures = torch.from_numpy(known.pixels[drawn]).permute(0, 3, 1, 2)
    # Milder than in pre-training: colour and size may be what a class is told by.
    how = Sampling(crop=0.6, colors=Coloring(0.2, 0.2, 0.2, 0.01, 0.0))
    views = normalise_pixels(make_views(pictures, how, generator) * 255)
    layout = views.contiguous(memory_format=torch.channels_last)
    return layout, torch.from_numpy(known.labels[drawn])


def _predict(network: nn.Module, known: ClassSet, device: str) -> NDArray[np.integer]:
    import torch

    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(known.test), _AT_ONCE):
            rows = known.test[start : start + _AT_ONCE]
            found.append(network(_pixels(known, rows, device)).argmax(dim=1).cpu().numpy())
    return np.concatenate(found)
