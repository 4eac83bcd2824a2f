"""Score segmentations against their truth.

Source: the Dice similarity coefficient (DSC) of Chen et al., arXiv 2108.09440, per image; mean and
standard deviation over images. Empty truth is said, for released code of others differs: where
truth and segmentation are both empty the DSC is 1, where only one of them is, it is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return 2 |A and B| / (|A| + |B|) of two masks of one shape; 1 if both are empty."""
    if found.shape != truth.shape:
        raise ValueError(f"Masks of {found.shape} and {truth.shape} are not of one image.")
    size = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / size if size else 1.0


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class, image by image."""

    name: str
    dice: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean DSC over images."""
        return float(np.mean(self.dice))

    @property
    def std(self) -> float:
        """Standard deviation of the DSC over images."""
        return float(np.std(self.dice))


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
    """

    name: str
    labels_seen: str
    classes: tuple[ClassScores, ...] = field(default=())

    @property
    def mean(self) -> float:
        """Mean over classes of the mean over images."""
        return float(np.mean([one.mean for one in self.classes]))


def score_classes(
    found: Sequence[NDArray[np.uint8]], truth: Sequence[NDArray[np.uint8]], names: Sequence[str]
) -> tuple[ClassScores, ...]:
    """Return the scores of classes 1, 2 and so on, which have these names.

    Parameters
    ----------
    found, truth
        Class numbers of each image, shape (Y, X).
    """
    return tuple(
        ClassScores(
            name, tuple(dice(a == number, b == number) for a, b in zip(found, truth, strict=True))
        )
        for number, name in enumerate(names, start=1)
    )
