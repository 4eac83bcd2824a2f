"""What a comparison of starts on pictures with classes found: runs, means, and a table of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

ALL_SETS = "mean of sets"
HEADS = ("set", "%", "labelled", "how")


@dataclass(frozen=True, slots=True)
class ClassTransferRun:
    """A run and its scores.

    Attributes
    ----------
    start
        Name of the weights it started from.
    how
        Linear probe or fine-tuning.
    percent, labelled
        Part of the training pictures that was labelled, and how many they are.
    accuracy, balanced
        Of all test pictures, and the mean of the recalls.
    recalls
        Of each class.
    """

    start: str
    how: str
    percent: int
    labelled: int
    seed: int
    accuracy: float
    balanced: float
    recalls: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ClassSetReport:
    """The runs of one set.

    Attributes
    ----------
    train, test
        How many pictures of each class there are.
    majority
        Part of the test pictures that are of the commonest class of the training part.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    majority: float
    runs: tuple[ClassTransferRun, ...]


@dataclass(frozen=True, slots=True)
class ClassTransferReport:
    """All sets, the starts, and the settings they share; `starts` tells of each what it is."""

    settings: dict[str, Any]
    starts: dict[str, dict[str, Any]]
    sets: tuple[ClassSetReport, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def heads(self) -> tuple[str, ...]:
        """Return the heads of the table."""
        return (*HEADS, *self.starts)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the rows of the table: accuracy / balanced accuracy, percent, mean and std."""
        found = []
        for one in self.sets:
            kinds = dict.fromkeys((run.percent, run.labelled, run.how) for run in one.runs)
            for percent, labelled, how in kinds:
                row = (one.name.replace("|", "/"), str(percent), str(labelled), how)
                found.append((*row, *self._cells((one,), percent, how)))
        if len(self.sets) > 1:
            for percent, how in dict.fromkeys((r.percent, r.how) for r in self.sets[0].runs):
                row = (ALL_SETS, str(percent), "", how)
                found.append((*row, *self._cells(self.sets, percent, how)))
        return found

    def _cells(self, sets: Sequence[ClassSetReport], percent: int, how: str) -> list[str]:
        """Return a cell for each start: means over sets first, then over seeds."""
        cells = []
        for start in self.starts:
            values = np.array(
                [
                    [
                        (run.accuracy, run.balanced)
                        for run in one.runs
                        if (run.start, run.percent, run.how) == (start, percent, how)
                    ]
                    for one in sets
                ]
            )  # sets, seeds, 2
            seeds = 100 * values.mean(axis=0)
            cells.append(" / ".join(_mean_and_spread(column) for column in seeds.T))
        return cells

    def to_json(self) -> str:
        """Return everything, runs included."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Return the table with a line on what it is of."""
        lines = [
            "| " + " | ".join(self.heads()) + " |",
            "|---|---:|---:|---|" + "---:|" * len(self.starts),
            *("| " + " | ".join(row).replace("\n", " ") + " |" for row in self.rows()),
            "",
            self.footnote(),
        ]
        return "\n".join(lines) + "\n"

    def footnote(self) -> str:
        """Return what the figures are of."""
        settings, seeds = self.settings, self.settings["seeds"]
        spread = "one seed" if seeds == 1 else f"mean and standard deviation over {seeds} seeds"
        split = "; ".join(
            f"{one.name}: {sum(one.train)} pictures of {len(one.classes)} classes to train on, "
            f"{sum(one.test)} to test on, {100 * one.majority:.1f} % of them of the commonest class"
            for one in self.sets
        )
        tuned = (
            f" fine-tuning takes {settings['steps']} steps of {settings['batch']} pictures from "
            "any start."
        )
        return (
            f"Accuracy / balanced accuracy of test pictures in percent, {spread}; pictures of "
            f"{settings['size']} px;{tuned if settings['fine_tuning'] else ' probes alone.'} "
            f"{split}."
        )


def _mean_and_spread(values: np.ndarray[Any, Any]) -> str:
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"
