"""What a training of local discrimination is asked to do, and what of it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.landmark_models import list_landmark_models
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
    from napari_medssl.methods.local_discrimination.network import NetworkConfig
    from napari_medssl.methods.local_discrimination.objective import Objective
    from napari_medssl.methods.local_discrimination.views import Sampling


@dataclass(frozen=True)
class TrainLocalDiscriminationConfig:
    """Train embeddings of pixels, and regions, from unlabelled images of one modality."""

    data: Path = option(help="Folder of unlabelled images of one modality, with its subfolders.")
    out: Path = option(help="The trained model, NAME.safetensors.")
    patch_steps: int = option(2000, help="Steps of patches alone, first (published 20000).", min=0)
    steps: int = option(6000, help="Steps with regions, after those (published 80000).", min=0)
    batch: int = option(4, help="Pairs of images in a step.", min=1)
    size: int = option(448, help="Side of a view; shorter side of an image.", min=32, unit="px")
    color: str = option("auto", help="Channels of the images.", choices=("auto", "grey", "rgb"))
    equalise: bool = option(False, help="Even out the histogram of each image, here and in use.")
    stride: str = option(
        "2", help="Pixels of an image to one of the maps.", choices=("1", "2", "4"), unit="px"
    )
    frozen: bool = option(
        False, help="Steps with regions leave the embeddings alone, best for landmarks."
    )
    clusters: int = option(16, help="Regions, K.", min=2, max=256)
    rotation: float = option(180.0, help="Largest turn of an image.", min=0, max=180, unit="deg")
    flip_x: float = option(0.5, help="Chance to mirror an image left to right.", min=0, max=1)
    flip_y: float = option(0.5, help="Chance to mirror an image top to bottom.", min=0, max=1)
    tilt: float = option(2.0, help="Largest turn of one view.", min=0, max=180, unit="deg")
    turns: bool = option(True, help="Turn second views by right angles.")
    mirror: float = option(0.5, help="Chance to mirror a second view.", min=0, max=1)
    crop: float = option(0.9, help="Least part of an image's area in a view.", min=0.01, max=1)
    sigma: float = option(
        0.25, help="Width of the bell in a cell, part of its side; 0 is flat.", min=0, max=10
    )
    learning_rate: float = option(0.001, help="Peak learning rate of Adam.", min=0)
    schedule: str = option(
        "cosine",
        help="Course of the rate in each stage: cosine with warm-up, or halved as published.",
        choices=("cosine", "halved"),
    )
    beside: str = option(
        "",
        help="For landmarks: model whose maps are used as well, such as imagenet-landmarks. The "
        "card then says what images the model fits.",
    )
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    amp: bool = option(True, help=AMP_HELP, advanced=True)
    seed: int = option(1, help="Seed of weights, images and views.", min=0, advanced=True)
    halve_every: int = option(10000, help="Steps to a halving of the rate.", min=1, advanced=True)
    width: int = option(16, help="Channels of the first layer.", min=4, max=64, advanced=True)
    dim: int = option(32, help="Dimensions of an embedding.", min=2, max=512, advanced=True)
    grid: int = option(8, help="Cells along a side of a view.", min=2, max=64, advanced=True)
    temperature: float = option(0.1, help="Of patch discrimination.", min=0.01, advanced=True)
    region_temperature: float = option(0.2, help="Of regions.", min=0.01, advanced=True)
    patch_weight: float = option(1.0, help="Of patch discrimination.", min=0, advanced=True)
    mix_weight: float = option(1.0, help="Of hypersphere mix-up.", min=0, advanced=True)
    region_weight: float = option(10.0, help="Of region discrimination.", min=0, advanced=True)
    entropy_weight: float = option(0.1, help="Of assignment entropy.", min=0, advanced=True)
    area_weight: float = option(0.0, help="Of the area penalty.", min=0, advanced=True)
    brightness: float = option(0.4, help="Largest change of it.", min=0, max=1, advanced=True)
    contrast: float = option(0.4, help="Largest change of it.", min=0, max=1, advanced=True)
    saturation: float = option(0.4, help="Largest change of it.", min=0, max=1, advanced=True)
    hue: float = option(0.02, help="Largest turn of it, in turns.", min=0, max=0.5, advanced=True)
    grey: float = option(0.2, help="Chance of a view to lose colour.", min=0, max=1, advanced=True)
    checkpoint_every: int = option(
        200, help="Steps of an epoch, after which a checkpoint is written.", min=1, advanced=True
    )
    resume: bool = option(False, help="Go on from the last checkpoint of the same --out.")

    @property
    def all_steps(self) -> int:
        """Steps of both stages."""
        return self.patch_steps + self.steps


def check_trainable(config: TrainLocalDiscriminationConfig) -> None:
    """Raise UserError now for what a run would refuse after its process has started."""
    check(config)
    if config.out.suffix != ".safetensors":
        raise UserError(f"--out {str(config.out)!r} must end in .safetensors.")
    if not config.all_steps:
        raise UserError("--patch-steps 0 and --steps 0 train nothing. Give one of them.")
    cell = config.grid * int(config.stride)
    if config.size % cell:
        near = max(1, round(config.size / cell)) * cell
        raise UserError(
            f"--size {config.size} is not a multiple of {cell}, --grid times --stride. "
            f"Give for example {near}."
        )
    known = list_landmark_models()
    if config.beside and config.beside not in known:
        raise UserError(
            f"--beside {config.beside!r} is no model of landmarks; choose of {', '.join(known)}."
        )
    check_device(config.device)
    find_images(config.data)
    read_sources(config.data, "")
    check_model_place(config.out)
    if config.resume:
        load_to_resume(checkpoint_of(config.out), comparable(config))


def network_config(config: TrainLocalDiscriminationConfig, channels: int) -> NetworkConfig:
    """Return the shape of the network for images of so many channels."""
    from napari_medssl.methods.local_discrimination.network import NetworkConfig

    return NetworkConfig(channels, config.width, config.dim, config.clusters, int(config.stride))


def sampling(config: TrainLocalDiscriminationConfig) -> Sampling:
    """Return how views are made."""
    from napari_medssl.methods.local_discrimination.coloring import Coloring
    from napari_medssl.methods.local_discrimination.views import Sampling

    return Sampling(
        size=config.size,
        flip_x=config.flip_x,
        flip_y=config.flip_y,
        rotation=config.rotation,
        crop=(config.crop, 1.0),
        tilt=config.tilt,
        turns=config.turns,
        mirror=config.mirror,
        colors=Coloring(
            config.brightness, config.contrast, config.saturation, config.hue, config.grey
        ),
    )


def objective(config: TrainLocalDiscriminationConfig) -> Objective:
    """Return what is asked of the network."""
    from napari_medssl.methods.local_discrimination.losses import LossWeights
    from napari_medssl.methods.local_discrimination.objective import Objective

    weights = LossWeights(
        config.patch_weight,
        config.mix_weight,
        config.region_weight,
        config.entropy_weight,
        config.area_weight,
    )
    return Objective(
        weights,
        config.temperature,
        config.region_temperature,
        config.grid,
        config.sigma or None,
    )
