"""What a training of the contrastive autoencoder is asked to do, and what of it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
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
    from napari_medssl.methods.contrastive_autoencoder.network import NetworkConfig

TASK = "autoencoder"
ARCHITECTURE = "contrastive autoencoder"
AUTO = "auto"
_MOST_CLUSTERS = 256


@dataclass(frozen=True)
class TrainAutoencoderConfig:
    """Train embeddings, clusters, reconstruction and sampling from unlabelled images."""

    data: Path = option(help="Folder of unlabelled images, with its subfolders.")
    out: Path = option(help="The trained model, NAME.safetensors.")
    clusters: str = option(
        AUTO, help="Clusters, K: a number, or auto for the elbow of k-means on the embeddings."
    )
    size: str = option(
        "64", help="Side of the squares that images become.", choices=("32", "64", "128"), unit="px"
    )
    warmup_steps: int = option(250, help="Steps before there are clusters.", min=1)
    steps: int = option(150, help="Steps with clusters, after those.", min=0)
    batch: int = option(64, help="Images in a step.", min=2)
    color: str = option("auto", help="Channels of the images.", choices=("auto", "grey", "rgb"))
    crop: float = option(0.5, help="Least part of an image's area in a view.", min=0.01, max=1)
    flip_x: float = option(0.5, help="Chance to mirror a view left to right.", min=0, max=1)
    flip_y: float = option(0.5, help="Chance to mirror a view top to bottom.", min=0, max=1)
    rotation: float = option(15.0, help="Largest turn of a view.", min=0, max=180, unit="deg")
    brightness: float = option(0.4, help="Largest change of it.", min=0, max=1)
    contrast: float = option(0.4, help="Largest change of it.", min=0, max=1)
    saturation: float = option(0.4, help="Largest change of it.", min=0, max=1)
    hue: float = option(0.02, help="Largest turn of it, in turns.", min=0, max=0.5)
    grey: float = option(0.0, help="Chance of a view to lose colour.", min=0, max=1)
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    amp: bool = option(True, help=AMP_HELP, advanced=True)
    seed: int = option(1, help="Seed of weights, images, views and clusters.", min=0, advanced=True)
    widths: tuple[int, ...] = option(
        (32, 64, 128), help="Channels of each convolution; one option for each.", min=4, max=512,
        advanced=True,
    )  # fmt: skip
    dim: int = option(50, help="Dimensions of an embedding.", min=2, max=1024, advanced=True)
    most_clusters: int = option(20, help="Largest K that auto tries.", min=3, max=64, advanced=True)
    temperature: float = option(
        0.2, help="Of the contrastive loss.", min=0.01, max=10, advanced=True
    )
    share_temperature: float = option(
        0.1, help="Of the shares of clusters.", min=0.01, max=10, advanced=True
    )
    reconstruction_weight: float = option(
        1.0, help="Of the reconstruction beside the contrastive loss.", min=0, advanced=True
    )
    momentum: float = option(
        0.9, help="How much of a prototype stays in a step.", min=0, max=1, advanced=True
    )
    learning_rate: float = option(0.001, help="Peak learning rate of Adam.", min=0, advanced=True)
    checkpoint_every: int = option(
        100, help="Steps after which a checkpoint is written.", min=1, advanced=True
    )
    resume: bool = option(False, help="Go on from the last checkpoint of the same --out.")

    @property
    def all_steps(self) -> int:
        """Steps of both phases."""
        return self.warmup_steps + self.steps


def check_trainable(config: TrainAutoencoderConfig) -> None:
    """Raise UserError now for what a run would refuse after its process has started."""
    check(config)
    if config.out.suffix != ".safetensors":
        raise UserError(f"--out {str(config.out)!r} must end in .safetensors.")
    clusters_wanted(config)
    size, multiple = int(config.size), 2 ** (len(config.widths) + 1)
    if not config.widths or size % multiple:
        raise UserError(
            f"{len(config.widths)} --widths came for --size {size}; due are 1 to "
            f"{size.bit_length() - 2}: each halves the image, and a pooling does."
        )
    check_device(config.device)
    find_images(config.data)
    read_sources(config.data, "")
    check_model_place(config.out)
    if config.resume:
        load_to_resume(checkpoint_of(config.out), comparable(config))


def clusters_wanted(config: TrainAutoencoderConfig) -> int | None:
    """Return the number of clusters that is asked for, None for the elbow.

    Raises
    ------
    UserError
        If it is no number or out of range.
    """
    if config.clusters == AUTO:
        return None
    if config.clusters.isdecimal() and 2 <= int(config.clusters) <= _MOST_CLUSTERS:
        return int(config.clusters)
    raise UserError(
        f"--clusters {config.clusters!r} is neither {AUTO!r} nor a number from 2 to "
        f"{_MOST_CLUSTERS}."
    )


def network_config(config: TrainAutoencoderConfig, channels: int) -> NetworkConfig:
    """Return the shape of the network, still without clusters, for images of so many channels."""
    from napari_medssl.methods.contrastive_autoencoder.network import NetworkConfig

    return NetworkConfig(
        channels,
        int(config.size),
        config.widths,
        config.dim,
        temperature=config.share_temperature,
    )


def split_head(name: str) -> tuple[str, str]:
    """Return the name of an encoder, and "h" or "z" if it ends in "#h" or "#z", else ""."""
    return (name[:-2], name[-1]) if name.endswith(("#h", "#z")) else (name, "")
