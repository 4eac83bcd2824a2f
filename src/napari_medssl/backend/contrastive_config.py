"""What a training of an encoder by SimSiam is asked to do, and what of it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.sources import read_sources
from napari_medssl.backend.train_steps import (
    check_device,
    check_model_place,
    checkpoint_of,
    comparable,
    load_to_resume,
)
from napari_medssl.backend.training_images import find_images

ARCHITECTURE = "simsiam efficientnet-lite0"


@dataclass(frozen=True)
class TrainContrastiveConfig:
    """Train an encoder from two views of each image, such as panels that were harvested."""

    data: Path = option(help="Folder of unlabelled images, with its subfolders.")
    out: Path = option(help="The trained encoder, NAME.safetensors.")
    start: str = option(
        "random", help="Weights the encoder starts from.", choices=("random", "imagenet")
    )
    size: int = option(
        96, help="Side of the squares that images become.", min=32, max=512, unit="px"
    )
    steps: int = option(400, help="Optimizer steps.", min=1)
    batch: int = option(64, help="Images in a step.", min=4)
    crop: float = option(0.2, help="Least part of an image's area in a view.", min=0.01, max=1)
    flip_x: float = option(0.5, help="Chance to mirror a view left to right.", min=0, max=1)
    flip_y: float = option(0.5, help="Chance to mirror a view top to bottom.", min=0, max=1)
    rotation: float = option(15.0, help="Largest turn of a view.", min=0, max=180, unit="deg")
    brightness: float = option(0.4, help="Largest change of it.", min=0, max=1)
    contrast: float = option(0.4, help="Largest change of it.", min=0, max=1)
    saturation: float = option(0.4, help="Largest change of it.", min=0, max=1)
    hue: float = option(0.1, help="Largest turn of it, in turns.", min=0, max=0.5)
    grey: float = option(0.2, help="Chance of a view to lose colour.", min=0, max=1)
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    # On a CPU this trunk, of convolutions of single channels, is slower in bfloat16 at any rate.
    amp: bool = option(True, help="Mixed precision (bfloat16) on a GPU.", advanced=True)
    seed: int = option(1, help="Seed of weights, images and views.", min=0, advanced=True)
    dim: int = option(512, help="Dimensions of the projector.", min=8, max=8192, advanced=True)
    learning_rate: float = option(
        0.05, help="Of a batch of 256; others have it in proportion.", min=0, advanced=True
    )
    checkpoint_every: int = option(
        100, help="Steps after which a checkpoint is written.", min=1, advanced=True
    )
    resume: bool = option(False, help="Go on from the last checkpoint of the same --out.")


def check_trainable(config: TrainContrastiveConfig) -> None:
    """Raise UserError now for what a run would refuse after its process has started."""
    check(config)
    if config.out.suffix != ".safetensors":
        raise UserError(f"--out {str(config.out)!r} must end in .safetensors.")
    check_device(config.device)
    find_images(config.data)
    read_sources(config.data, "")
    check_model_place(config.out)
    if config.resume:
        load_to_resume(checkpoint_of(config.out), comparable(config))
