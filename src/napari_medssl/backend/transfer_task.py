"""The options of `medssl evaluate transfer`, of which each task takes its own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.class_transfer_config import EvaluateClassTransferConfig
from napari_medssl.backend.config import from_json, option, to_json
from napari_medssl.backend.mixed_precision import AMP_HELP
from napari_medssl.backend.transfer_config import EvaluateTransferConfig

SEGMENTATION, CLASSIFICATION = "segmentation", "classification"


@dataclass(frozen=True)
class TransferOptions:
    """Compare starts by what comes of them with few labels; None is the default of the task."""

    data: tuple[Path, ...] = option(
        help="Folder with pairs.csv (image,mask,group,labels); for classification with a folder of "
        "pictures for each class. May be given several times."
    )
    out: Path = option(help="The report, NAME.json; NAME.md, NAME.svg and what is kept lie beside.")
    task: str = option(
        SEGMENTATION, help="What is learned from labels.", choices=(SEGMENTATION, CLASSIFICATION)
    )
    model: tuple[str, ...] = option(
        (),
        help="Name or file of a model of `medssl train local-discrimination`, or 'train', the "
        "default: one of each set's training images, without their masks. For classification of "
        "`medssl train contrastive`, or NAME=FILE to call it NAME; may be given several times.",
    )
    fractions: str | None = option(
        None,
        help="Parts of the training images that are labelled, in percent; by default "
        "20,40,60,80,100, and 1,10,100 for classification.",
    )
    seeds: int = option(3, help="Runs of each part and each start.", min=1)
    fine_tuning: bool = option(
        True, help="Whether to fine-tune, for classification; linear probes alone are quick."
    )
    steps: int | None = option(
        None, help="Steps of a run; by default 600, and 100 for classification.", min=1
    )
    batch: int | None = option(
        None, help="Crops in a step; by default 4, and 16 pictures for classification.", min=1
    )
    size: int | None = option(
        None,
        help="Side of a crop, shorter side of an image; by default 256, and 96 for classification.",
        min=32,
        max=2048,
        unit="px",
    )
    learning_rate: float = option(0.001, help="Peak learning rate of Adam.", min=0)
    test_share: float = option(0.35, help="Part of the groups to test on.", min=0.01, max=0.99)
    split_seed: int = option(1, help="Seed of that split.", min=0)
    pretrain: tuple[str, ...] = option(
        (),
        help="NAME=VALUE, an option of `medssl train local-discrimination` such as steps=500, for "
        "--model train; may be given several times.",
    )
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    amp: bool = option(True, help=AMP_HELP, advanced=True)


def segmentation_config(options: TransferOptions) -> EvaluateTransferConfig:
    """Return what a comparison of segmentations is asked to do.

    Raises
    ------
    UserError
        If an option is not of that task.
    """
    if len(options.model) > 1:
        raise UserError(
            f"--model came {len(options.model)} times; due is once, or --task {CLASSIFICATION}."
        )
    if not options.fine_tuning:
        raise UserError(f"--no-fine-tuning is for --task {CLASSIFICATION} alone. Leave it out.")
    values = _given(options, EvaluateTransferConfig)
    values["model"] = options.model[0] if options.model else None
    return from_json(EvaluateTransferConfig, {k: v for k, v in values.items() if v is not None})


def classification_config(options: TransferOptions) -> EvaluateClassTransferConfig:
    """Return what a comparison of classifications is asked to do.

    Raises
    ------
    UserError
        If an option is not of that task.
    """
    if options.pretrain:
        raise UserError(
            f"--pretrain is not for --task {CLASSIFICATION}. Train with `medssl train contrastive` "
            "and give --model."
        )
    return from_json(EvaluateClassTransferConfig, _given(options, EvaluateClassTransferConfig))


def _given(options: TransferOptions, config_class: type[Any]) -> dict[str, Any]:
    """Return the values that were given of fields that the config of a task has."""
    names = {field.name for field in fields(config_class)}
    return {k: v for k, v in to_json(options).items() if k in names and v is not None}
