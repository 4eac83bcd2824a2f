"""What an evaluation of segmentations found, and its JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_medssl.backend.segmentation_scores import (
    FIGURES,
    ClassScores,
    Figure,
    MethodScores,
)


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """A class of the data.

    Attributes
    ----------
    name
        As the data calls it.
    share
        Part of all pixels that are of it.
    cases
        Number of images or volumes that have it.
    """

    name: str
    share: float
    cases: int


@dataclass(frozen=True, slots=True)
class SegmentationReport:
    """Scores of methods on the same images or volumes.

    Attributes
    ----------
    data
        Name of the folder.
    kind
        What is scored as one: "image" or "volume".
    unit
        Of distances: "mm" or "pixels".
    cases, groups
        Name of each image or volume, and whom it is of.
    classes
        Those of the data.
    methods
        Their scores, in the order of `cases` and `classes`.
    failures
        (name, reason) of cases that could not be read; they are left out.
    remarks
        What else is to be known.
    warnings
        What is not as a reader would take it to be.
    """

    data: str
    kind: str
    unit: str
    cases: tuple[str, ...]
    groups: tuple[str, ...]
    classes: tuple[ClassFacts, ...]
    methods: tuple[MethodScores, ...]
    failures: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def rare(self) -> int | None:
        """Place of the class with the fewest pixels; None where there is but one."""
        known = [place for place, one in enumerate(self.classes) if one.share]
        if len(known) < 2:
            return None
        return min(known, key=lambda place: self.classes[place].share)

    def has_distances(self) -> bool:
        """Whether some surface distance is known."""
        return any(one.spread("asd").count for method in self.methods for one in method.classes)

    def to_json(self) -> str:
        """Return the report as JSON text, case by case."""
        rare = self.rare
        values: dict[str, Any] = {
            "data": self.data,
            "scored": f"{self.kind}s",
            "unit": self.unit,
            "groups": dict(zip(self.cases, self.groups, strict=True)),
            "classes": {
                one.name: {"share": round(one.share, 6), "cases": one.cases} for one in self.classes
            },
            "rare_class": None if rare is None else self.classes[rare].name,
            "methods": [self._method(one) for one in self.methods],
            "failures": dict(self.failures),
            "remarks": list(self.remarks),
            "warnings": list(self.warnings),
        }
        return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def _method(self, one: MethodScores) -> dict[str, Any]:
        means = {figure: one.over_classes(figure) for figure in FIGURES}
        return {
            "method": one.name,
            "labels_seen": one.labels_seen,
            "classes_matched_by": one.matched,
            "mean_over_classes": {figure: _known(mean.mean) for figure, mean in means.items()},
            "classes_in_mean": {figure: mean.count for figure, mean in means.items()},
            "rare_class": None if self.rare is None else one.classes[self.rare].name,
            "classes": {scores.name: self._class(scores) for scores in one.classes},
        }

    def _class(self, scores: ClassScores) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for figure in FIGURES:
            found |= self._figure(scores, figure)
        counts = {name: scores.count(name) for name in ("present", "missed", "invented", "absent")}
        return found | {"counts": counts}

    def _figure(self, scores: ClassScores, figure: Figure) -> dict[str, Any]:
        spread = scores.spread(figure)
        return {
            f"{figure}_mean": _known(spread.mean),
            f"{figure}_std": _known(spread.std),
            f"{figure}_count": spread.count,
            figure: _named(self.cases, scores.each(figure)),
        }


def _named(names: Sequence[str], figures: Sequence[float]) -> dict[str, float | None]:
    return {name: _known(figure) for name, figure in zip(names, figures, strict=True)}


def _known(figure: float) -> float | None:
    """Return a figure as JSON can hold it: there is no "not a number"."""
    return None if math.isnan(figure) else figure
