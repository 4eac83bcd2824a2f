"""What a comparison of weights by transfer is asked to do, and what of it cannot be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.config import FieldSpec, check, describe, from_json, option
from napari_medssl.backend.local_discrimination_config import TrainLocalDiscriminationConfig
from napari_medssl.backend.mixed_precision import AMP_HELP
from napari_medssl.backend.train_steps import check_device
from napari_medssl.io.files import check_writable

TRAIN = "train"
_OWN = ("data", "out", "seed", "device", "resume")  # of a pre-training, set here


@dataclass(frozen=True)
class EvaluateTransferConfig:
    """Compare segmentation from weights of local discrimination with that from random ones."""

    data: tuple[Path, ...] = option(
        help="Folder with pairs.csv (image,mask,group,labels); may be given several times."
    )
    out: Path = option(help="The report, NAME.json; NAME.md, NAME.svg and what is kept lie beside.")
    model: str = option(
        TRAIN,
        help="Name or file of a model of `medssl train local-discrimination`, or 'train': one of "
        "each set's training images, without their masks.",
    )
    fractions: str = option(
        "20,40,60,80,100", help="Parts of the training images that are labelled, in percent."
    )
    seeds: int = option(3, help="Runs of each part and each start.", min=1)
    steps: int = option(600, help="Steps of a run.", min=1)
    batch: int = option(4, help="Crops in a step.", min=1)
    size: int = option(
        256, help="Side of a crop; shorter side of an image.", min=32, max=2048, unit="px"
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

    @property
    def percents(self) -> tuple[int, ...]:
        """The fractions, in order, each once."""
        return tuple(sorted({int(text) for text in self.fractions.split(",")}))

    @property
    def journal(self) -> Path:
        """Where finished runs are kept."""
        return self.out.with_suffix(".journal")


def check_transfer(config: EvaluateTransferConfig) -> None:
    """Raise UserError now for what cannot be done.

    Raises
    ------
    UserError
        If a value is none of those that are due, or --out cannot be written.
    """
    check(config)
    if not config.data:
        raise UserError("--data is missing. Give a folder with pairs.csv, images/ and masks/.")
    check_report_place(config.data, config.out)
    check_percents(config.fractions)
    if config.pretrain and config.model != TRAIN:
        raise UserError(f"--pretrain is for --model {TRAIN}, but --model is {config.model!r}.")
    pretraining(config, config.data[0], config.out)
    check_device(config.device)


def check_report_place(data: Sequence[Path], out: Path) -> None:
    """Raise UserError if sets would have one name in a report, or it cannot be written."""
    names = [folder.name for folder in data]
    if len(set(names)) < len(names):
        raise UserError(
            f"--data has two folders named {max(names, key=names.count)!r}; due is one."
        )
    if out.suffix != ".json":
        raise UserError(f"--out {str(out)!r} must end in .json.")
    check_writable(out)


def check_percents(fractions: str) -> None:
    """Raise UserError unless the text lists whole percentages."""
    try:
        is_range = all(1 <= int(text) <= 100 for text in fractions.split(","))
    except ValueError:
        is_range = False
    if not is_range:
        raise UserError(
            f"--fractions {fractions!r}; due are whole numbers from 1 to 100, as 20,60,100."
        )


def pretraining(
    config: EvaluateTransferConfig, data: Path, out: Path
) -> TrainLocalDiscriminationConfig:
    """Return the training of the weights of one set; views are as large as crops if not told.

    Raises
    ------
    UserError
        If --pretrain names what is no option of it.
    """
    specs = {s.name: s for s in describe(TrainLocalDiscriminationConfig) if s.name not in _OWN}
    values: dict[str, Any] = {"data": str(data), "out": str(out), "device": config.device}
    values |= {"size": config.size, "seed": config.split_seed}
    for given in config.pretrain:
        values |= _parsed(given, specs)
    return from_json(TrainLocalDiscriminationConfig, values)


def _parsed(given: str, specs: Mapping[str, FieldSpec]) -> dict[str, Any]:
    name, equals, text = given.partition("=")
    spec = specs.get(name.strip("- ").replace("-", "_"))
    if not equals or spec is None:
        raise UserError(
            f"--pretrain {given!r} is no NAME=VALUE of an option; names: "
            f"{', '.join(known.replace('_', '-') for known in specs)}."
        )
    readers: dict[str, Any] = {"int": int, "float": float, "bool": _TRUTH.__getitem__}
    try:
        return {spec.name: readers.get(spec.kind, str)(text)}
    except (ValueError, KeyError):
        raise UserError(f"--pretrain {given!r} has no {spec.kind} as its value.") from None


_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
