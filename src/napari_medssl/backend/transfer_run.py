"""One run of a comparison by transfer: train a segmentation from a start, and score it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl.backend.histogram import even_out
from napari_medssl.backend.jobs import ShouldStop
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.segmentation_scores import dice
from napari_medssl.backend.sizing import resize_short_side, to_channels
from napari_medssl.backend.train_steps import learning_rate_at
from napari_medssl.backend.transfer_data import LabelledImage, LabelledSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_medssl.methods.local_discrimination.network import NetworkConfig
    from napari_medssl.methods.local_discrimination.segmentation import SegmentationNetwork


class Stopped(Exception):  # noqa: N818 - the user asked for it, nothing went wrong
    """Raised by a run that was asked to stop; nothing of it is kept."""


@dataclass(frozen=True)
class Schedule:
    """What is the same for every start.

    Attributes
    ----------
    steps, batch
        Optimizer steps, and crops in each.
    size
        Side of a crop, and shorter side of an image, in pixels.
    learning_rate
        Peak of Adam's.
    amp
        Whether networks compute in half precision while they train, where that is faster.
    """

    steps: int
    batch: int
    size: int
    learning_rate: float
    amp: bool = True


@dataclass(frozen=True)
class Network:
    """The network of every start, and the weights of the one that is not random.

    Attributes
    ----------
    config
        Its shape.
    equalised
        Whether the histogram of each image is evened out first.
    weights
        Of a trained network of local discrimination, by name.
    """

    config: NetworkConfig
    equalised: bool
    weights: Mapping[str, Tensor]


class TransferSet:
    """The images of a set as a network takes them."""

    def __init__(self, known: LabelledSet, network: Network, schedule: Schedule) -> None:
        self.known, self.network, self.schedule = known, network, schedule
        self.train = [self._prepared(image) for image in known.train]
        self.test = [self._prepared(image) for image in known.test]

    def _prepared(self, image: LabelledImage) -> tuple[Tensor, Tensor]:
        """Return uint8 pixels (C, H, W) and classes (H, W) at the size of the schedule."""
        import torch

        pixels = to_channels(
            resize_short_side(image.pixels, self.schedule.size), self.network.config.channels
        )
        pixels = even_out(pixels) if self.network.equalised else pixels
        sides = (pixels.shape[1], pixels.shape[0])
        classes = np.array(Image.fromarray(image.classes).resize(sides, Image.Resampling.NEAREST))
        planes = np.array(np.moveaxis(pixels, 2, 0), order="C")
        return torch.from_numpy(planes), torch.from_numpy(classes)


def run_transfer(
    images: TransferSet,
    part: Sequence[int],
    seed: int,
    device: str,
    *,
    from_weights: bool,
    on_step: Callable[[int, float], None],
    should_stop: ShouldStop,
) -> list[list[float]]:
    """Return the DSC of each class in each test image, after training on a part of the others.

    It is 1 where class and segmentation are both empty, as the tables of this comparison say.
    Both starts draw the same head, the same images and the same crops from a seed.

    Parameters
    ----------
    part
        Places of the labelled images among those to train on.
    from_weights
        Whether to start from the network's weights; else it starts at random.
    on_step
        Told after each step, with steps done and the loss.

    Raises
    ------
    Stopped
        If `should_stop` said so; it is asked before each step and each test image.
    """
    network = _trained(images, part, seed, device, from_weights, on_step, should_stop)
    scores = []
    for (pixels, _), image in zip(images.test, images.known.test, strict=True):
        if should_stop():
            raise Stopped
        found = segment(network, pixels.to(device), image.classes.shape)
        scores.append(
            [
                round(dice(found == number, image.classes == number, both_empty=1.0), 6)
                for number in range(1, len(images.known.classes) + 1)
            ]
        )
    return scores


def segment(
    network: SegmentationNetwork, pixels: Tensor, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Return the class of each pixel of an image, scaled to (height, width), shape (Y, X).

    Parameters
    ----------
    pixels
        uint8, shape (C, H, W).
    """
    import torch
    from torch.nn import functional as F

    with torch.inference_mode():
        scores = network(pixels[None].float() / 255)
        scaled = F.interpolate(scores, size=tuple(shape), mode="bilinear", align_corners=False)
        return np.asarray(scaled[0].argmax(dim=0).to(torch.uint8).cpu())


def _trained(
    images: TransferSet,
    part: Sequence[int],
    seed: int,
    device: str,
    from_weights: bool,
    on_step: Callable[[int, float], None],
    should_stop: ShouldStop,
) -> SegmentationNetwork:
    import torch

    from napari_medssl.methods.local_discrimination.segmentation import (
        SegmentationNetwork,
        draw_crops,
        segmentation_loss,
    )
    from napari_medssl.methods.local_discrimination.views import step_generator

    schedule = images.schedule
    torch.manual_seed(seed)
    network = SegmentationNetwork(images.network.config, len(images.known.classes) + 1)
    if from_weights:
        network.start_from(images.network.weights)
    network.to(device).train()
    if device == "cpu":
        # `nn.Module.to` has no typed overload for a memory format alone.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    for step in range(schedule.steps):
        if should_stop():
            raise Stopped
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, schedule.steps, schedule.learning_rate)
        generator = step_generator(seed, step)
        drawn = [images.train[part[n]] for n in draw_evenly(len(part), schedule.batch, generator)]
        crops, truth = draw_crops(
            [pixels.to(device) for pixels, _ in drawn],
            [classes.to(device) for _, classes in drawn],
            schedule.size,
            generator,
        )
        with mixed_precision(device, schedule.amp):
            scores = network(crops)
        loss = segmentation_loss(scores, truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        on_step(step + 1, float(loss.detach()))
    return network.eval()


def draw_evenly(count: int, wanted: int, generator: object) -> list[int]:
    """Return `wanted` numbers below `count`, none more than once oftener than another."""
    import torch

    found: list[int] = []
    while len(found) < wanted:
        order = torch.randperm(count, generator=generator)  # type: ignore[call-overload]
        found += order.tolist()
    return found[:wanted]
