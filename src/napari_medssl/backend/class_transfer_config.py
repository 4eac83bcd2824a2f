"""What a comparison of starts on pictures with classes is asked to do, and what cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.train_steps import check_device
from napari_medssl.backend.transfer_config import check_percents, check_report_place

RANDOM, IMAGENET = "random", "ImageNet"


@dataclass(frozen=True)
class EvaluateClassTransferConfig:
    """Compare classification from random, ImageNet's and trained weights, with few labels."""

    data: tuple[Path, ...] = option(
        help="Folder with a folder of pictures for each class; may be given several times."
    )
    out: Path = option(help="The report, NAME.json; NAME.md and what is kept lie beside.")
    model: tuple[str, ...] = option(
        (),
        help="Name or file of a model of `medssl train contrastive`, or NAME=FILE to call it NAME "
        "in the table; may be given several times.",
    )
    fractions: str = option(
        "1,10,100", help="Parts of the training pictures that are labelled, in percent."
    )
    seeds: int = option(3, help="Runs of each part and each start.", min=1)
    fine_tuning: bool = option(True, help="Whether to fine-tune; probes alone are quick.")
    steps: int = option(100, help="Steps of fine-tuning.", min=1)
    batch: int = option(16, help="Pictures in a step.", min=2)
    size: int = option(96, help="Side of a picture.", min=32, max=512, unit="px")
    learning_rate: float = option(0.001, help="Peak learning rate of Adam.", min=0)
    test_share: float = option(0.35, help="Part of the groups to test on.", min=0.01, max=0.99)
    split_seed: int = option(1, help="Seed of that split.", min=0)
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    amp: bool = option(True, help="Mixed precision (bfloat16) on a GPU.", advanced=True)

    @property
    def percents(self) -> tuple[int, ...]:
        """The fractions, in order, each once."""
        return tuple(sorted({int(text) for text in self.fractions.split(",")}))

    @property
    def journal(self) -> Path:
        """Where finished runs are kept."""
        return self.out.with_suffix(".journal")

    @property
    def models(self) -> dict[str, str]:
        """Names or files of models by their names in the table, in order."""
        return dict(_named(given) for given in self.model)


def check_class_transfer(config: EvaluateClassTransferConfig) -> None:
    """Raise UserError now for what cannot be done.

    Raises
    ------
    UserError
        If a value is none of those that are due, or --out cannot be written.
    """
    check(config)
    if not config.data:
        raise UserError(
            "--data is missing. Give a folder with a folder of pictures for each class."
        )
    names = [RANDOM, IMAGENET, *config.models]
    if len(names) < 2 + len(config.model) or len(set(names)) < len(names) or "" in names:
        raise UserError(
            f"--model {', '.join(config.model)!r} would stand under the name of another start, or "
            "under none. Give NAME=FILE with a name for each."
        )
    check_percents(config.fractions)
    check_report_place(config.data, config.out)
    check_device(config.device)


def _named(given: str) -> tuple[str, str]:
    """Return the name in the table and the model of NAME=FILE, or of a name or file alone."""
    name, equals, file = given.partition("=")
    if equals and "/" not in name:
        return name, file
    return Path(given).stem if given.endswith(".safetensors") else given, given
