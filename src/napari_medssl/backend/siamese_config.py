"""What a training of the tile encoder is asked to do, and what of it cannot be done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.device import choose_device, count_gpus
from napari_medssl.backend.siamese_tiles import data_sources, list_sources
from napari_medssl.backend.train_steps import check_device, check_model_place, load_to_resume


@dataclass(frozen=True)
class TrainSiameseConfig:
    """Train a tile encoder on pairs of tiles, near or far on their slides, or on tiles alone."""

    slides: Path = option(
        help="A slide, a folder of slides, a folder with tiles.csv, or a .txt list of these."
    )
    out: Path = option(help="The trained encoder, NAME.safetensors.")
    objective: str = option(
        "pairs",
        help="What the loss tells apart: near and far pairs, or every tile (npid, their rival).",
        choices=("pairs", "npid"),
    )
    steps: int = option(0, help="Optimizer steps after the fit in closed form.", min=0)
    batch: int = option(32, help="Pairs in a step; tiles with npid.", min=2)
    near: float = option(2.0, help="Tiles up to here are near.", min=0.001, unit="mm")
    far: float = option(10.0, help="Tiles beyond are far.", min=0.001, unit="mm")
    margin: float = option(1.0, help="Distance from which far pairs cost nothing.", min=0.01, max=2)
    loss: str = option(
        "squared", help="Printed form of the contrastive loss.", choices=("squared", "plain")
    )
    start: str = option(
        "imagenet", help="Weights the trunk starts from.", choices=("imagenet", "scratch")
    )
    learning_rate: float = option(0.0005, help="Peak learning rate of the head.", min=0)
    trunk_rate: float = option(0.0, help="Peak learning rate of the trunk; 0 freezes it.", min=0)
    dim: int = option(128, help="Dimensions of an embedding.", min=2, max=4096)
    mpp: float = option(0.5, help="Resolution of the tiles.", min=0.05, max=100, unit="um/px")
    size: int = option(224, help="Side of a tile.", min=64, max=1024, unit="px")
    tiles_per_slide: int = option(500, help="Most tiles of a slide; memory holds all.", min=2)
    sets: tuple[str, ...] = option((), help="Only these sets of folders with tiles.csv.")
    slide_mpp: float | None = option(
        None, help="Microns per pixel of slides that do not say it.", min=0.005, unit="um/px"
    )
    stain: str = option("none", help="Stain to bring slides to first.", choices=("none", "he"))
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    devices: int = option(
        1, help="GPUs that share out each batch; processes with --device cpu.", min=1, max=64
    )
    amp: bool = option(True, help="Mixed precision (bfloat16) on a GPU.", advanced=True)
    shrinkage: float = option(
        0.1, help="How far the closed form trusts all directions alike.", min=1e-6, advanced=True
    )
    temperature: float = option(0.07, help="Temperature of npid.", min=0.001, max=10, advanced=True)
    seed: int = option(1, help="Seed of pairs and changes.", min=0, advanced=True)
    checkpoint_every: int = option(100, help="Steps between checkpoints.", min=1, advanced=True)
    resume: bool = option(False, help="Go on from the last checkpoint of the same --out.")


def check_trainable(config: TrainSiameseConfig) -> None:
    """Raise UserError now for what a run would refuse after its process has started."""
    check(config)
    if config.out.suffix != ".safetensors":
        raise UserError(f"--out {str(config.out)!r} must end in .safetensors.")
    if not config.near < config.far:
        raise UserError(f"--near {config.near:g} mm is due to be less than --far {config.far:g}.")
    if config.start == "scratch" and not config.trunk_rate:
        raise UserError("--start scratch needs a --trunk-rate, such as 0.001: it starts at random.")
    if config.objective == "npid" and not config.steps:
        raise UserError("--objective npid has no closed form. Give --steps, such as 300.")
    if config.batch % config.devices:
        raise UserError(
            f"--batch {config.batch} cannot be shared out evenly to --devices {config.devices}."
        )
    check_device(config.device)
    if config.devices > 1:
        devices_of(config)
    list_sources(config.slides)
    data_sources(config.slides)
    check_model_place(config.out)
    if config.resume:
        load_to_resume(checkpoint_of(config), comparable(config))


def devices_of(config: TrainSiameseConfig) -> tuple[str, ...]:
    """Return the torch name of each device that trains.

    Raises
    ------
    UserError
        If this machine has too few.
    """
    if config.devices == 1:
        return (choose_device(config.device),)
    if config.device == "cpu":
        return ("cpu",) * config.devices
    gpus = count_gpus()
    if config.device == "mps" or gpus < config.devices:
        raise UserError(
            f"--devices {config.devices} wants as many NVIDIA GPUs; this machine has {gpus}. "
            "Give fewer, or --device cpu for that many processes."
        )
    return tuple(f"cuda:{number}" for number in range(config.devices))


def checkpoint_of(config: TrainSiameseConfig) -> Path:
    """Return where the checkpoint of a run lies: beside its model."""
    return config.out.with_suffix(".checkpoint.safetensors")


def comparable(config: TrainSiameseConfig) -> dict[str, Any]:
    """Return what two runs must share for one to go on with the other's checkpoint."""
    values = asdict(config)
    for name in ("out", "resume", "device", "devices", "checkpoint_every"):
        values.pop(name)
    values["sets"] = list(values["sets"])  # as JSON gives it back
    # Cards are published: no folders of this machine.
    return {name: v.name if isinstance(v, Path) else v for name, v in values.items()}
