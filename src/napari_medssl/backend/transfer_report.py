"""What a comparison by transfer found: runs, their means over seeds, and a table of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RANDOM = "random"
WEIGHTS = "local discrimination"
STARTS = (RANDOM, WEIGHTS)
ALL_CLASSES = "mean"


@dataclass(frozen=True, slots=True)
class TransferRun:
    """A run and its scores.

    Attributes
    ----------
    start
        One of `STARTS`.
    percent, labelled
        Part of the training images that was labelled, and how many they are.
    dice
        DSC of each class in each test image, shape (images, classes).
    """

    start: str
    percent: int
    labelled: int
    seed: int
    dice: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class TransferScore:
    """The DSC of a start with so many labelled images.

    Attributes
    ----------
    name
        Of a class, or `ALL_CLASSES`.
    mean
        Over seeds of the mean over test images.
    std
        Over seeds (n - 1), None of one seed.
    std_images
        Over test images, each its mean over seeds.
    """

    name: str
    start: str
    percent: int
    labelled: int
    mean: float
    std: float | None
    std_images: float


@dataclass(frozen=True, slots=True)
class SetReport:
    """The runs of one set.

    Attributes
    ----------
    classes
        Names of classes 1, 2 and so on.
    train, test
        Names of the images.
    shown
        Of each class, in how many test images it is.
    model
        Of the weights: name, SHA-256 and shape of the network.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[str, ...]
    test: tuple[str, ...]
    test_groups: int
    shown: tuple[int, ...]
    model: dict[str, Any]
    runs: tuple[TransferRun, ...]

    def scores(self) -> tuple[TransferScore, ...]:
        """Return the mean over classes, then each class if there are several."""
        names = (ALL_CLASSES, *self.classes) if len(self.classes) > 1 else (ALL_CLASSES,)
        kinds = dict.fromkeys((run.percent, run.start) for run in self.runs)
        return tuple(
            _score(
                [run for run in self.runs if (run.percent, run.start) == kind],
                name,
                None if name == ALL_CLASSES else self.classes.index(name),
            )
            for name in names
            for kind in kinds
        )


def _score(runs: Sequence[TransferRun], name: str, column: int | None) -> TransferScore:
    values = np.array([run.dice for run in runs])  # seeds, images, classes
    each = values.mean(axis=2) if column is None else values[:, :, column]
    seeds = each.mean(axis=1)
    return TransferScore(
        name,
        runs[0].start,
        runs[0].percent,
        runs[0].labelled,
        round(float(seeds.mean()), 6),
        round(float(seeds.std(ddof=1)), 6) if len(seeds) > 1 else None,
        round(float(each.mean(axis=0).std()), 6),
    )


@dataclass(frozen=True, slots=True)
class TransferReport:
    """All sets, and the settings they share."""

    settings: dict[str, Any]
    sets: tuple[SetReport, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """Return everything, runs included."""
        sets = [asdict(one) | {"scores": [asdict(s) for s in one.scores()]} for one in self.sets]
        about = {"settings": self.settings, "sets": sets, "failures": self.failures}
        return json.dumps(about, indent=2, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Return the table with a line on what it is of."""
        lines = [
            "| " + " | ".join(heads()) + " |",
            "|---|---|---:|---:|" + "---:|" * (len(heads()) - 4),
            *("| " + " | ".join(row).replace("\n", " ") + " |" for row in rows(self.sets)),
            "",
            footnote(self),
        ]
        return "\n".join(lines) + "\n"


def heads() -> tuple[str, ...]:
    """Return the heads of the table."""
    return ("set", "class", "labelled", "%", *STARTS, "gain")


def rows(sets: Sequence[SetReport]) -> list[tuple[str, ...]]:
    """Return the rows of the table: DSC, mean and standard deviation over seeds."""
    found = []
    for one in sets:
        scores = {(s.name, s.percent, s.start): s for s in one.scores()}
        for name, percent in dict.fromkeys((name, percent) for name, percent, _ in scores):
            both = [scores[name, percent, start] for start in STARTS]
            label = one.classes[0] if len(one.classes) == 1 else name
            gain = f"{both[1].mean - both[0].mean:+.3f}"
            found.append(
                (
                    one.name.replace("|", "/"),
                    label,
                    str(both[0].labelled),
                    str(percent),
                    *map(_cell, both),
                    gain,
                )
            )
    return found


def _cell(score: TransferScore) -> str:
    spread = "" if score.std is None else f" ± {score.std:.3f}"
    return f"{score.mean:.3f}{spread}"


def footnote(report: TransferReport) -> str:
    """Return what the figures are of."""
    settings = report.settings
    split = "; ".join(
        f"{one.name}: {len(one.train)} images to train on, {len(one.test)} of "
        f"{one.test_groups} other group{'' if one.test_groups == 1 else 's'} to test on"
        for one in report.sets
    )
    seeds = settings["seeds"]
    spread = "one seed" if seeds == 1 else f"mean and standard deviation over {seeds} seeds"
    return (
        f"DSC per test image, mean over images (1 where class and segmentation are both empty, 0 "
        f"where one is), then {spread}; "
        f"{settings['steps']} steps of {settings['batch']} crops of {settings['size']} px from "
        f"either start. {split}."
    )
