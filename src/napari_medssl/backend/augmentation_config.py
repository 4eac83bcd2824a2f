"""What a comparison of augmentations by decoded samples is asked to do, and what cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.train_steps import check_device

NONE, VIEWS, SAMPLES, PATHS, BOTH = "none", "views", "samples", "paths", "views + samples"
WAYS = (NONE, VIEWS, SAMPLES, PATHS, BOTH)
"""What is learned beside the labelled pictures, in the order of the table."""


@dataclass(frozen=True)
class EvaluateAugmentationConfig:
    """Compare classifiers that also learn from views, or from samples of an autoencoder."""

    data: tuple[Path, ...] = option(
        (), help="Folder with a folder of pictures for each class; may be given several times."
    )
    labelled: str = option("5,10,20", help="Labelled pictures of each class.")
    seeds: int = option(3, help="Runs of each, with other labelled pictures and weights.", min=1)
    samples: int = option(100, help="Pictures made for each class.", min=1, max=10_000)
    size: str = option("32", help="Side of a picture.", choices=("32", "64"), unit="px")
    autoencoder_steps: int = option(
        400, help="Steps of the autoencoder; five of eight are its warm-up.", min=2
    )
    steps: int = option(100, help="Steps of a classifier.", min=1)
    batch: int = option(32, help="Pictures in each of them.", min=4)
    learning_rate: float = option(0.001, help="Peak learning rate of Adam.", min=0)
    test_share: float = option(0.35, help="Part of the groups to test on.", min=0.01, max=0.99)
    split_seed: int = option(1, help="Seed of that split.", min=0)
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))

    @property
    def counts(self) -> tuple[int, ...]:
        """Labelled pictures of each class, in order, each number once."""
        return tuple(sorted({int(text) for text in self.labelled.split(",")}))


def check_augmentation(config: EvaluateAugmentationConfig) -> None:
    """Raise UserError now for what cannot be done."""
    check(config)
    if not config.data:
        raise UserError("No --data came. Give a folder with a folder of pictures for each class.")
    parts = [text.strip() for text in config.labelled.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UserError(
            f"--labelled {config.labelled!r} came; due are whole numbers from 1, such as 5,10,20."
        )
    check_device(config.device)
