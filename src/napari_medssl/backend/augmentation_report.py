"""What a comparison of augmentations found: runs, means, and a table of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from napari_medssl.backend.augmentation_config import WAYS

ALL_SETS = "mean of sets"
HEADS = ("set", "labelled", "classifier")


@dataclass(frozen=True, slots=True)
class AugmentationRun:
    """A classifier and its scores.

    Attributes
    ----------
    classifier, way
        What learned, and what was learned from beside the labelled pictures.
    labelled
        Pictures of each class that were labelled, at most.
    accuracy, balanced
        Of all test pictures, and the mean of the recalls.
    """

    classifier: str
    way: str
    labelled: int
    seed: int
    accuracy: float
    balanced: float


@dataclass(frozen=True, slots=True)
class AugmentationSet:
    """The runs of one set.

    Attributes
    ----------
    train, test
        How many pictures of each class there are.
    reconstruction, clusters
        Of the autoencoder: part of the variance that is lost, and K.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    reconstruction: float
    clusters: int
    runs: tuple[AugmentationRun, ...]


@dataclass(frozen=True, slots=True)
class AugmentationReport:
    """All sets, and the settings they share."""

    settings: dict[str, Any]
    sets: tuple[AugmentationSet, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def heads(self) -> tuple[str, ...]:
        """Return the heads of the table."""
        return (*HEADS, *WAYS)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the rows of the table: accuracy / balanced accuracy in percent."""
        groups: list[tuple[str, Sequence[AugmentationSet]]] = [(s.name, (s,)) for s in self.sets]
        if len(self.sets) > 1:
            groups.append((ALL_SETS, self.sets))
        found = []
        for name, sets in groups:
            for labelled, classifier in dict.fromkeys(
                (run.labelled, run.classifier) for run in sets[0].runs
            ):
                cells = [_cell(sets, labelled, classifier, way) for way in WAYS]
                found.append((name.replace("|", "/"), str(labelled), classifier, *cells))
        return found

    def to_json(self) -> str:
        """Return everything, runs included."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def footnote(self) -> str:
        """Return what the figures are of."""
        settings = self.settings
        sets = "; ".join(
            f"{one.name}: {sum(one.train)} pictures of {len(one.classes)} classes to train on, "
            f"{sum(one.test)} to test on"
            for one in self.sets
        )
        return (
            "Accuracy / balanced accuracy of test pictures in percent, means with the standard "
            f"deviation of the accuracy over seeds, {settings['seeds']} of them; labelled pictures "
            f"of each class, and {settings['samples']} made of them; pictures of "
            f"{settings['size']} px. {sets}."
        )


def _cell(sets: Sequence[AugmentationSet], labelled: int, classifier: str, way: str) -> str:
    """Return the means over sets first, then over seeds."""
    wanted = (labelled, classifier, way)
    values = 100 * np.array(
        [
            [
                (run.accuracy, run.balanced)
                for run in one.runs
                if (run.labelled, run.classifier, run.way) == wanted
            ]
            for one in sets
        ]
    ).mean(axis=0)  # seeds, 2
    accuracy, balanced = values.mean(axis=0)
    spread = f" ± {values[:, 0].std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{accuracy:.1f}{spread} / {balanced:.1f}"
