"""Score segmentations against their truth: DSC, ASD and HD95 of each class in each case.

A case is an image or a volume, DSC the Dice similarity coefficient; distances are those of
`backend.surface_distances`. Released code of others flatters where something is empty, so that is
said: where truth and segmentation are both empty there is nothing to score, and the case is left
out of all means; what is found without a truth has DSC 0 and no distance; where nothing is found
of a truth the DSC is 0 and each distance the diagonal of the case. Each mean has its count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.surface_distances import SurfaceDistances, surface_distances

Figure = Literal["dsc", "asd", "hd95"]
Outcome = Literal["present", "missed", "invented", "absent"]

FIGURES: tuple[Figure, ...] = ("dsc", "asd", "hd95")
_UNDEFINED = SurfaceDistances(math.nan, math.nan)


def dice(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], *, both_empty: float = math.nan
) -> float:
    """Return 2 |A and B| / (|A| + |B|) of two masks of one shape.

    Parameters
    ----------
    both_empty
        What is returned where both are empty: not a number, for there is nothing to score.
    """
    if found.shape != truth.shape:
        raise ValueError(f"Masks of {found.shape} and {truth.shape} are not of one image.")
    size = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / size if size else both_empty


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one class in one case; not a number where one is not defined.

    Attributes
    ----------
    dsc, asd, hd95
        See the head of this module.
    outcome
        Whether truth and segmentation both have the class ("present"), the truth alone ("missed"),
        the segmentation alone ("invented"), or neither ("absent").
    """

    dsc: float
    asd: float
    hd95: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Spread:
    """Figures of many cases, those without one left out; not a number if there are none."""

    values: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many cases have the figure."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def std(self) -> float:
        """Their standard deviation."""
        return float(np.std(self.values)) if self.values else math.nan

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.values, default=math.nan)

    @property
    def most(self) -> float:
        """The greatest."""
        return max(self.values, default=math.nan)


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class, case by case."""

    name: str
    scores: tuple[Score, ...]

    def each(self, figure: Figure) -> tuple[float, ...]:
        """Return a figure of each case, not a number where it is not defined."""
        return tuple(getattr(score, figure) for score in self.scores)

    def spread(self, figure: Figure) -> Spread:
        """Return a figure of the cases that have it."""
        return Spread(tuple(value for value in self.each(figure) if not math.isnan(value)))

    def count(self, outcome: Outcome) -> int:
        """Return the number of cases with an outcome."""
        return sum(score.outcome == outcome for score in self.scores)

    @property
    def mean(self) -> float:
        """Mean DSC over cases."""
        return self.spread("dsc").mean

    @property
    def std(self) -> float:
        """Standard deviation of the DSC over cases."""
        return self.spread("dsc").std


@dataclass(frozen=True, slots=True)
class MethodScores:
    """Scores of one method.

    Attributes
    ----------
    name
        Of the method.
    labels_seen
        What it has seen of the truth that it is scored by, in words; empty for nothing.
    classes
        One entry a class.
    matched
        How its classes were told to be those of the data: by "name" or "number".
    """

    name: str
    labels_seen: str
    classes: tuple[ClassScores, ...] = field(default=())
    matched: str = "number"

    def over_classes(self, figure: Figure) -> Spread:
        """Return the means of the classes that have one."""
        means = (one.spread(figure).mean for one in self.classes)
        return Spread(tuple(mean for mean in means if not math.isnan(mean)))

    @property
    def mean(self) -> float:
        """Mean over classes of the mean DSC over cases."""
        return self.over_classes("dsc").mean


def score_mask(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float] | None
) -> Score:
    """Return the score of one mask; no distances without a spacing.

    Parameters
    ----------
    found, truth
        Masks of one shape, (Y, X) or (Z, Y, X).
    spacing
        Of its axes, in mm or pixels.
    """
    is_found, is_true = bool(found.any()), bool(truth.any())
    outcome: Outcome = "absent"
    if is_true:
        outcome = "present" if is_found else "missed"
    elif is_found:
        outcome = "invented"
    far = surface_distances(found, truth, spacing) if spacing else _UNDEFINED
    return Score(dice(found, truth), far.asd, far.hd95, outcome)


def score_case(
    found: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    classes: int,
    spacing: Sequence[float] | None = None,
) -> tuple[Score, ...]:
    """Return the scores of classes 1, 2 and so on in one image or volume.

    Parameters
    ----------
    found, truth
        Class numbers, shape (Y, X) or (Z, Y, X).
    classes
        How many there are, besides the rest.
    spacing
        Of the axes; None to score without distances.
    """
    return tuple(
        score_mask(found == number, truth == number, spacing) for number in range(1, classes + 1)
    )


def by_class(cases: Sequence[Sequence[Score]], names: Sequence[str]) -> tuple[ClassScores, ...]:
    """Return the scores of each class, from those of each case."""
    return tuple(
        ClassScores(name, tuple(case[place] for case in cases)) for place, name in enumerate(names)
    )


def score_classes(
    found: Sequence[NDArray[np.uint8]],
    truth: Sequence[NDArray[np.uint8]],
    names: Sequence[str],
    spacings: Sequence[Sequence[float]] | None = None,
) -> tuple[ClassScores, ...]:
    """Return the scores of classes 1, 2 and so on, which have these names.

    Parameters
    ----------
    found, truth
        Class numbers of each case, shape (Y, X) or (Z, Y, X).
    spacings
        Of the axes of each case; None to score without distances.
    """
    steps: Sequence[Sequence[float] | None] = spacings or [None] * len(found)
    cases = [
        score_case(one, due, len(names), step)
        for one, due, step in zip(found, truth, steps, strict=True)
    ]
    return by_class(cases, names)
