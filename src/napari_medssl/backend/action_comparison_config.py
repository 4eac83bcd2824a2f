"""What a comparison of recipes by few labels is asked to do, and what of it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.action_comparison import BRANCHES
from napari_medssl.backend.action_config import FIT_HEAD_HELP, MULTIPLE, check_stages
from napari_medssl.backend.action_polarity import INVERT, INVERT_HELP
from napari_medssl.backend.config import check, option
from napari_medssl.backend.mixed_precision import AMP_HELP
from napari_medssl.backend.train_steps import check_device
from napari_medssl.backend.transfer_config import check_percents, check_report_place


@dataclass(frozen=True)
class EvaluateActionConfig:
    """Compare ways of learning to segment from few masks."""

    data: tuple[Path, ...] = option(
        help="Folder with pairs.csv (image,mask,group,labels); may be given several times."
    )
    out: Path = option(help="The report, NAME.json; NAME.md and what is kept lie beside.")
    recipes: tuple[str, ...] = option(
        ("supervised", "mean-teacher", "strong-weak", "anatomical", "action", "action++"),
        help="Stages as of `medssl train action`, such as local,anatomical; may be given again.",
    )
    fractions: str = option(
        "5,10,20", help="Parts of the training images that are labelled, in percent."
    )
    seeds: int = option(3, help="Runs of each part and each recipe.", min=1)
    steps: int = option(300, help="Steps of a run, all its stages together.", min=1)
    batch: int = option(4, help="Labelled crops in a step, and as many others.", min=1)
    size: int = option(192, help="Side of a crop, a multiple of 32.", min=64, max=1024, unit="px")
    start: str = option("imagenet", help="imagenet, random, or a model of `medssl train action`.")
    fit_head: bool = option(True, help=FIT_HEAD_HELP)
    keep: str = option(
        "teacher", help="Whose scores the tables have; the report has both.", choices=BRANCHES
    )
    invert: str = option("auto", help=INVERT_HELP, choices=INVERT)
    learning_rate: float = option(0.003, help="Peak learning rate of AdamW.", min=0)
    test_share: float = option(0.35, help="Part of the groups to test on.", min=0.01, max=0.99)
    split_seed: int = option(1, help="Seed of that split.", min=0)
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    amp: bool = option(True, help=AMP_HELP, advanced=True)

    @property
    def percents(self) -> tuple[int, ...]:
        """The fractions, in order, each once."""
        return tuple(sorted({int(text) for text in self.fractions.split(",")}))


def check_comparison(config: EvaluateActionConfig) -> None:
    """Raise UserError now for what cannot be done."""
    check(config)
    if not config.data:
        raise UserError("--data is missing. Give a folder with pairs.csv, images/ and masks/.")
    check_report_place(config.data, config.out)
    check_percents(config.fractions)
    if config.size % MULTIPLE:
        raise UserError(f"--size {config.size} is not a multiple of {MULTIPLE}. Give 192 or 256.")
    if not config.recipes:
        raise UserError("--recipes is empty. Give one, such as action.")
    for recipe in config.recipes:
        check_stages(recipe, config.steps)
    check_device(config.device)
