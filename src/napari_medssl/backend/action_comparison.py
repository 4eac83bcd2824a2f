"""What a comparison of recipes by few labels found: runs, their means over seeds, and tables.

Scores of a run are numbers by test image and class. A class that is neither in the truth nor found
has none there and is left out of means; one that is missed or made up has a DSC of 0. Means are
over images, then over classes, then over seeds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALL_CLASSES = "mean"
_WORDS = {"dsc": "DSC", "asd": "ASD, pixels", "hd95": "95HD, pixels"}
MEASURES = tuple(_WORDS)
BRANCHES = ("teacher", "student")

Scores = dict[str, list[list[float | None]]]
"""By measure: a row for each test image, a number for each class, None where there is none."""


@dataclass(frozen=True, slots=True)
class RecipeRun:
    """A run and its scores.

    Attributes
    ----------
    recipe, branch
        Stages, and whose weights: "teacher" (their average) or "student".
    percent, labelled, seed
        Part of the training images that was labelled, how many they are, and the seed.
    scores
        By measure.
    """

    recipe: str
    branch: str
    percent: int
    labelled: int
    seed: int
    scores: Scores

    def mean(self, measure: str, column: int | None) -> float:
        """Return the mean over images of a class, or of that over all classes; NaN for none."""
        values = np.array(self.scores[measure], np.float64)  # None becomes NaN
        by_class = _mean(values, axis=0)
        return float(_mean(by_class, axis=0) if column is None else by_class[column])


def _mean(values: NDArray[np.float64], axis: int) -> Any:
    """Return the mean of what is no NaN, NaN where nothing is."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0).sum(axis=axis), known.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True, slots=True)
class ComparedSet:
    """The runs of one set.

    Attributes
    ----------
    classes
        Names of classes 1, 2 and so on.
    train, test
        Names of images.
    test_groups
        How many groups those to test on are of.
    shown
        Of each class, in how many test images it is.
    runs
        All of them.
    inverted
        Which part of strong views were negatives, see `action_polarity`.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[str, ...]
    test: tuple[str, ...]
    test_groups: int
    shown: tuple[int, ...]
    runs: tuple[RecipeRun, ...]
    inverted: float = 0.0

    def over_seeds(
        self, recipe: str, percent: int, measure: str, column: int | None, branch: str
    ) -> NDArray[np.float64]:
        """Return a measure of a class, None for their mean, in each run of a recipe."""
        return np.array(
            [
                run.mean(measure, column)
                for run in self.runs
                if (run.recipe, run.percent, run.branch) == (recipe, percent, branch)
            ]
        )

    def gains(
        self, recipe: str, base: str, percent: int, measure: str, branch: str
    ) -> NDArray[np.float64]:
        """Return by how much a recipe is better than another with each seed that both have.

        Of the mean of all classes; above 0 is better, also of distances.
        """
        by_seed: tuple[dict[int, float], dict[int, float]] = ({}, {})
        for found, name in zip(by_seed, (recipe, base), strict=True):
            for run in self.runs:
                if (run.recipe, run.percent, run.branch) == (name, percent, branch):
                    found[run.seed] = run.mean(measure, None)
        seeds = sorted(set(by_seed[0]) & set(by_seed[1]))
        sign = 1 if measure == "dsc" else -1
        gains = [sign * (by_seed[0][seed] - by_seed[1][seed]) for seed in seeds]
        return np.array([gain for gain in gains if not math.isnan(gain)], np.float64)

    def labelled(self, percent: int) -> int:
        """Return how many images that part of the training images is."""
        return next((run.labelled for run in self.runs if run.percent == percent), 0)


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """All sets, and the settings that they share."""

    settings: dict[str, Any]
    sets: tuple[ComparedSet, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """Return everything, runs included."""
        values = {
            "settings": self.settings,
            "sets": [asdict(one) for one in self.sets],
            "failures": self.failures,
        }
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Return the tables of each measure, and a line on what they are of."""
        recipes = tuple(self.settings["recipes"])
        heads = ("set", "class", "labelled", "%", *recipes)
        lines: list[str] = []
        for measure, words in _WORDS.items():
            lines += [
                f"{words}:",
                "",
                "| " + " | ".join(heads) + " |",
                "|---|---|---:|---:|" + "---:|" * len(recipes),
                *("| " + " | ".join(row) + " |" for row in self.rows(measure)),
                "",
            ]
        return "\n".join([*lines, *self.paired(), self.footnote()]) + "\n"

    def paired(self) -> list[str]:
        """Return the lines on how much better recipes are than masks alone, seed by seed.

        None of one seed. Labelled images differ more from seed to seed than recipes do, so what a
        recipe adds is seen in differences, not in means.
        """
        settings = self.settings
        recipes, branch = list(settings["recipes"]), str(settings["keep"])
        base = "supervised" if "supervised" in recipes else recipes[0]
        others = [recipe for recipe in recipes if recipe != base]
        if not others or settings["seeds"] < 2:
            return []
        lines = [
            f"Better than {base} by (and with how many seeds):",
            "",
            "| set | measure | labelled | % | " + " | ".join(others) + " |",
            "|---|---|---:|---:|" + "---:|" * len(others),
        ]
        for one in self.sets:
            name = one.name.replace("|", "/")
            for measure, words in _WORDS.items():
                for percent in settings["percents"]:
                    gains = [one.gains(each, base, percent, measure, branch) for each in others]
                    cells = [_gain(values, measure) for values in gains]
                    row = (name, words, str(one.labelled(percent)), str(percent), *cells)
                    lines.append("| " + " | ".join(row) + " |")
        return [*lines, ""]

    def rows(self, measure: str, branch: str | None = None) -> list[tuple[str, ...]]:
        """Return the rows of a table: mean over seeds and, of several, standard deviation."""
        settings, found = self.settings, []
        kept = branch or str(settings["keep"])
        for one in self.sets:
            names = (ALL_CLASSES, *one.classes) if len(one.classes) > 1 else one.classes
            columns: Sequence[int | None] = (None, *range(len(one.classes)))
            for name, column in zip(names, columns, strict=False):
                for percent in settings["percents"]:
                    cells = [
                        _cell(one.over_seeds(recipe, percent, measure, column, kept), measure)
                        for recipe in settings["recipes"]
                    ]
                    about = (one.name.replace("|", "/"), name, str(one.labelled(percent)))
                    found.append((*about, str(percent), *cells))
        return found

    def footnote(self) -> str:
        """Return what the figures are of."""
        settings = self.settings
        split = "; ".join(
            f"{one.name}: {len(one.train)} images to train on, {len(one.test)} of "
            f"{one.test_groups} other groups to test on"
            + f", {one.inverted:.0%} of strong views as negatives"
            * (one.inverted > 0)
            for one in self.sets
        )
        seeds = settings["seeds"]
        spread = "one seed" if seeds == 1 else f"mean ± standard deviation over {seeds} seeds"
        return (
            f"Means over test images in which the class is or was found, then over classes; "
            f"{spread}. All recipes start from the same weights ({settings['start']}) and take "
            f"{settings['steps']} steps of {settings['batch']} labelled crops of "
            f"{settings['size']} px, and as many unlabelled where they look at them; scored are "
            f"the weights of the {settings['keep']}. {split}."
        )


def _gain(values: NDArray[np.float64], measure: str) -> str:
    if not len(values):
        return "-"
    digits = 3 if measure == "dsc" else 1
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():+.{digits}f}{spread} ({int((values > 0).sum())} of {len(values)})"


def _cell(values: NDArray[np.float64], measure: str) -> str:
    known = values[~np.isnan(values)]
    if not len(known):
        return "-"
    digits = 3 if measure == "dsc" else 1
    spread = f" ± {known.std(ddof=1):.{digits}f}" if len(known) > 1 else ""
    lost = f" ({len(known)} of {len(values)})" if len(known) < len(values) else ""
    return f"{known.mean():.{digits}f}{spread}{lost}"
