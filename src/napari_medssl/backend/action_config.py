"""What a training of ACTION is asked to do, and what of it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.action_polarity import INVERT, INVERT_HELP
from napari_medssl.backend.config import check, option
from napari_medssl.backend.mask_meaning import MASK_VALUES
from napari_medssl.backend.mixed_precision import AMP_HELP
from napari_medssl.backend.models import ModelCard, load_card
from napari_medssl.backend.train_steps import (
    check_device,
    check_model_place,
    checkpoint_of,
    comparable,
    load_to_resume,
)

TASK = "segmentation"
START_TASK = "segmentation-start"
"""Of a model that was trained without masks: others begin with it, it segments nothing."""

ARCHITECTURE = "action unet efficientnet-lite0"
STARTS = ("imagenet", "random")
FIT_HEAD_HELP = (
    "Begin with a last layer that is fitted to the labelled images in one go, not a random one."
)
MULTIPLE = 32
"""Sides of crops are multiples of this: the network halves five times."""


@dataclass(frozen=True)
class TrainActionConfig:
    """Train a segmentation from a few masks and the images around them."""

    out: Path = option(help="The trained model, NAME.safetensors.")
    labelled: Path | None = option(
        None, help="Folder with images/ and masks/ of the same names, class numbers as pixel "
        "values; or with pairs.csv. Without it, stages that take no masks train a start.",
    )  # fmt: skip
    unlabelled: Path | None = option(
        None, help="Folder of further images of the same kind; without it the labelled ones serve."
    )
    stages: str = option(
        "action",
        help="action, action++, supervised, mean-teacher, strong-weak, or stages by name: global, "
        "local, anatomical, anatomical++, pseudo, distillation, separated by commas.",
    )
    steps: int = option(600, help="Steps of training, all stages together.", min=1)
    minutes: float = option(
        0.0, help="Take as many steps as fit into this time instead, reckoned anew as the machine "
        "becomes faster or slower; 0 for --steps.", min=0, unit="min",
    )  # fmt: skip
    batch: int = option(4, help="Labelled images in a step, and as many others.", min=1)
    size: int = option(192, help="Side of a crop, a multiple of 32.", min=64, max=1024, unit="px")
    short_side: int = option(
        0, help="Shorter side that images are scaled to; 0 looks at images and masks.", min=0,
        max=8192, unit="px",
    )  # fmt: skip
    start: str = option(
        "imagenet", help="Weights to begin with: imagenet, random, or a model of this verb."
    )
    fit_head: bool = option(True, help=FIT_HEAD_HELP, advanced=True)
    mask_values: str = option(
        "auto",
        help="What values of masks are: numbers of classes, or anything but 0 is foreground.",
        choices=MASK_VALUES,
    )
    invert: str = option("auto", help=INVERT_HELP, choices=INVERT)
    learning_rate: float = option(0.003, help="Peak learning rate of AdamW.", min=0)
    trunk_rate: float = option(
        0.2, help="Of the part that begins with trained weights, part of that rate.", min=0, max=1,
        advanced=True,
    )  # fmt: skip
    early_stop: bool = option(
        False,
        help="End before the last step if what is found in a few images hardly changes any more.",
    )
    keep: str = option(
        "teacher", help="Whose weights are written.", choices=("teacher", "student"), advanced=True
    )
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    amp: bool = option(True, help=AMP_HELP, advanced=True)
    seed: int = option(1, help="Seed of weights, images and views.", min=0, advanced=True)
    checkpoint_every: int = option(
        50,
        help="Steps after which a checkpoint is written; it is after 30 s at the latest.",
        min=1,
        advanced=True,
    )
    preview_every: int = option(
        0, help="Steps after which NAME.preview.png shows what it finds in a few images; 0 for "
        "never.", min=0, advanced=True,
    )  # fmt: skip
    resume: bool = option(False, help="Go on from the last checkpoint of the same --out.")
    finish: bool = option(
        False, help="With --resume: take no step more, write the model of the last checkpoint."
    )


def check_trainable(config: TrainActionConfig) -> None:
    """Raise UserError now for what a run would refuse after its process has started."""
    check(config)
    if config.out.suffix != ".safetensors":
        raise UserError(f"--out {str(config.out)!r} must end in .safetensors.")
    if config.size % MULTIPLE:
        near = max(2, round(config.size / MULTIPLE)) * MULTIPLE
        raise UserError(f"--size {config.size} is not a multiple of {MULTIPLE}. Give {near}.")
    if config.short_side and config.short_side < config.size:
        raise UserError(
            f"--short-side {config.short_side} is less than --size {config.size}; crops would not "
            "fit. Give a larger one, or 0."
        )
    if config.finish and not config.resume:
        raise UserError("--finish writes the model of a checkpoint. Give --resume as well.")
    stages = check_stages(config.stages, config.steps)
    _check_folders(config, stages)
    _check_early_stop(config, stages)
    check_device(config.device)
    if config.start not in STARTS:
        load_action_card(config.start)
    check_model_place(config.out)
    if config.resume:
        load_to_resume(checkpoint_of(config.out), compared(config))


def _check_folders(config: TrainActionConfig, stages: tuple[str, ...]) -> None:
    from napari_medssl.methods.action.stages import STAGES

    for name, folder in (("--labelled", config.labelled), ("--unlabelled", config.unlabelled)):
        if folder is not None and not folder.is_dir():
            raise UserError(f"{name} {str(folder)!r} is not a folder. Give one with images.")
    if config.labelled is not None:
        return
    asking = [name for name in stages if STAGES[name].takes_masks]
    if asking:
        raise UserError(
            f"Stage {asking[0]!r} learns from masks. Give --labelled, or stages that need none: "
            "global, distillation."
        )
    if config.unlabelled is None:
        raise UserError("There are no images. Give --labelled, --unlabelled, or both.")


def _check_early_stop(config: TrainActionConfig, stages: tuple[str, ...]) -> None:
    from napari_medssl.methods.action.stages import STAGES

    if config.early_stop and not STAGES[stages[-1]].supervised:
        raise UserError(
            f"--early-stop looks at what is found, and stage {stages[-1]!r}, the last, learns from "
            "no masks. Leave it out, or end with a stage that does."
        )


def check_stages(text: str, steps: int) -> tuple[str, ...]:
    """Return the stages that a text names.

    Raises
    ------
    UserError
        If it names none, or there are fewer steps than stages.
    """
    from napari_medssl.methods.action.stages import parse_stages, stage_ends

    try:
        stages = parse_stages(text)
        stage_ends(stages, steps)
    except ValueError as error:
        raise UserError(f"--stages {text!r}: {error}") from None
    return stages


def compared(config: TrainActionConfig) -> dict[str, object]:
    """Return what a run and its checkpoint share; whose weights are kept is settled at the end."""
    values = comparable(config)
    for name in ("finish", "keep", "preview_every"):
        values.pop(name)
    if config.start not in STARTS:
        values["start"] = Path(config.start).name  # cards are published: no folders of this machine
    return values


def load_action_card(name_or_file: str | Path) -> ModelCard:
    """Return the card of a model of `medssl train action`.

    Raises
    ------
    UserError
        If there is no such model, or it is another one.
    """
    card = load_card(name_or_file)
    if card.architecture != ARCHITECTURE or not isinstance(card.config.get("classes"), list):
        raise UserError(
            f"Model {card.name!r} is {card.architecture!r}; due is one of `medssl train action`."
        )
    return card
