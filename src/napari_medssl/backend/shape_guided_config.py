"""What a shape-guided training is asked to do, and what of it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.flat_pictures import CHANNELS
from napari_medssl.backend.mixed_precision import AMP_HELP
from napari_medssl.backend.sources import read_sources
from napari_medssl.backend.train_steps import (
    check_device,
    check_model_place,
    checkpoint_of,
    comparable,
    load_to_resume,
)
from napari_medssl.backend.training_images import find_images

if TYPE_CHECKING:
    from napari_medssl.backend.shape_data import ShapeDataConfig
    from napari_medssl.methods.local_discrimination.network import NetworkConfig
    from napari_medssl.methods.local_discrimination.rendering import Rendering
    from napari_medssl.methods.local_discrimination.shape_guided import ShapeObjective
    from napari_medssl.methods.local_discrimination.views import Sampling

MULTIPLE = 16
"""Sides of a view are multiples of this times the stride: the discriminator halves four times."""


@dataclass(frozen=True)
class TrainShapeGuidedConfig:
    """Train a segmentation of images without labels, guided by shapes of another modality."""

    data: Path = option(help="Folder of unlabelled images of one modality, with its subfolders.")
    shapes: Path = option(help="Folder of binary shapes of another modality; none is paired.")
    out: Path = option(help="The trained model, NAME.safetensors.")
    steps: int = option(2000, help="Steps of training.", min=1)
    batch: int = option(1, help="Pairs of images in a step.", min=1)
    renders: int = option(5, help="Images with drawn shapes in a step.", min=1)
    size: int = option(736, help="Longer side of the field of view.", min=64, unit="px")
    view: int = option(128, help="Side of a view.", min=32, unit="px")
    channel: str = option("green", help="Channel of colour images.", choices=CHANNELS)
    polarity: str = option(
        "dark", help="How the shapes look in the images.", choices=("dark", "light")
    )
    least_width: float = option(
        0.0, help="Leave out branches of shapes that are narrower.", min=0, unit="px"
    )
    scale: float = option(
        0.0, help="Pixels of an image to one of a shape; 0 compares widths.", min=0, max=20
    )
    class_name: str = option("shape", help="What the shapes are, such as vessel.")
    local_weight: float = option(0.1, help="Of local discrimination.", min=0)
    adversarial_weight: float = option(0.05, help="Of the discriminator of shapes.", min=0)
    render_weight: float = option(1.0, help="Of drawn shapes; 0 as published.", min=0)
    stride: str = option(
        "2", help="Pixels of an image to one of the maps.", choices=("1", "2", "4"), unit="px"
    )
    clusters: int = option(8, help="Regions, K; the shapes steer the first.", min=2, max=256)
    learning_rate: float = option(0.002, help="Peak learning rate of Adam.", min=0)
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    amp: bool = option(True, help=AMP_HELP, advanced=True)
    seed: int = option(1, help="Seed of weights, images and views.", min=0, advanced=True)
    judge_rate: float = option(
        0.5, help="Of the discriminator, part of the learning rate (published 0.05).", min=0,
        advanced=True,
    )  # fmt: skip
    penalty: float = option(1.0, help="Of the discriminator's gradient (R1).", min=0, advanced=True)
    ramp: float = option(
        0.2, help="Part of the steps until the discriminator counts fully.", min=0, max=1,
        advanced=True,
    )  # fmt: skip
    width: int = option(16, help="Channels of the first layer.", min=4, max=64, advanced=True)
    dim: int = option(32, help="Dimensions of an embedding.", min=2, max=512, advanced=True)
    grid: int = option(8, help="Cells along a side of a view.", min=2, max=64, advanced=True)
    sigma: float = option(
        0.25, help="Width of the bell in a cell, part of its side; 0 is flat.", min=0, max=10,
        advanced=True,
    )  # fmt: skip
    contrast: float = option(0.4, help="Largest change of it.", min=0, max=1, advanced=True)
    brightness: float = option(0.1, help="Largest change of it.", min=0, max=1, advanced=True)
    checkpoint_every: int = option(
        100, help="Steps of an epoch, after which a checkpoint is written.", min=1, advanced=True
    )
    resume: bool = option(False, help="Go on from the last checkpoint of the same --out.")


def check_trainable(config: TrainShapeGuidedConfig) -> None:
    """Raise UserError now for what a run would refuse after its process has started."""
    check(config)
    if config.out.suffix != ".safetensors":
        raise UserError(f"--out {str(config.out)!r} must end in .safetensors.")
    if not (config.adversarial_weight or config.render_weight):
        raise UserError(
            "--adversarial-weight 0 and --render-weight 0 leave the shapes out. Give one of them, "
            "or use medssl train local-discrimination."
        )
    cell = max(config.grid, MULTIPLE) * int(config.stride)
    if config.view % cell or config.view % (config.grid * int(config.stride)):
        near = max(1, round(config.view / cell)) * cell
        raise UserError(
            f"--view {config.view} is not a multiple of {cell}. Give for example {near}."
        )
    if config.view > config.size:
        raise UserError(f"--view {config.view} is larger than --size {config.size}.")
    check_device(config.device)
    find_images(config.data)
    find_images(config.shapes, "--shapes")
    for folder in (config.data, config.shapes):
        read_sources(folder, "")
    check_model_place(config.out)
    if config.resume:
        load_to_resume(checkpoint_of(config.out), comparable(config))


def data_config(config: TrainShapeGuidedConfig) -> ShapeDataConfig:
    """Return how data are read."""
    from napari_medssl.backend.shape_data import ShapeDataConfig

    return ShapeDataConfig(
        size=config.size,
        channel=config.channel,
        is_dark=config.polarity == "dark",
        least_width=config.least_width,
        scale=config.scale,
        with_backgrounds=config.render_weight > 0,
        seed=config.seed,
    )


def network_config(config: TrainShapeGuidedConfig) -> NetworkConfig:
    """Return the shape of the network."""
    from napari_medssl.methods.local_discrimination.network import NetworkConfig

    return NetworkConfig(1, config.width, config.dim, config.clusters, int(config.stride))


def sampling(config: TrainShapeGuidedConfig) -> Sampling:
    """Return how views of real images are made: at about their own scale."""
    from napari_medssl.methods.local_discrimination.coloring import Coloring
    from napari_medssl.methods.local_discrimination.views import Sampling

    part = min(1.0, (config.view / config.size) ** 2)
    return Sampling(
        size=config.view,
        crop=(min(1.0, 0.7 * part), min(1.0, 1.4 * part)),
        colors=Coloring(config.brightness, config.contrast, 0.0, 0.0, 0.0),
    )


def objective(config: TrainShapeGuidedConfig) -> ShapeObjective:
    """Return what is asked of the network."""
    from napari_medssl.methods.local_discrimination.objective import Objective
    from napari_medssl.methods.local_discrimination.shape_guided import ShapeObjective

    return ShapeObjective(
        local=Objective(grid=config.grid, sigma=config.sigma or None),
        local_weight=config.local_weight,
        adversarial_weight=config.adversarial_weight,
        render_weight=config.render_weight,
    )


def rendering(config: TrainShapeGuidedConfig) -> Rendering:
    """Return how shapes are drawn."""
    from napari_medssl.backend.flat_pictures import REACH
    from napari_medssl.methods.local_discrimination.rendering import Rendering

    return Rendering(halo=config.size * REACH, is_dark=config.polarity == "dark")
