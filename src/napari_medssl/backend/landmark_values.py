"""What a search for landmarks takes and gives: values that can be pickled.

Places are in pixels, x right, y down, the centre of the top left pixel at (0, 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.landmark_features import ImageFeatures

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Template:
    """An image whose landmarks are known: its features, and places in pixels by label."""

    features: ImageFeatures
    points: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place of an image that may be the landmark.

    Attributes
    ----------
    x, y
        In pixels of the image, between them.
    score
        How like the template's landmark it looks, from 0 to 1.
    cycle
        How far the way back misses the template's landmark, in pixels of the template.
    template
        Number of the template that the cycle is of.
    """

    x: float
    y: float
    score: float
    cycle: float
    template: int = 0


@dataclass(frozen=True, slots=True)
class LandmarkMatch:
    """Where a landmark of the templates is in an image.

    Attributes
    ----------
    label
        Of the landmark.
    candidates
        Places, the best first; at least one.
    is_present
        Whether the best is to be believed: otherwise the landmark is not in this image.
    """

    label: str
    candidates: tuple[Candidate, ...]
    is_present: bool

    @property
    def best(self) -> Candidate:
        """The first candidate."""
        return self.candidates[0]


@dataclass(frozen=True, slots=True)
class SimilarityPicture:
    """How like a landmark every cell of an image is.

    Attributes
    ----------
    values
        Cosines, float32, shape (H, W).
    step
        Pixels of the image from one cell to the next, along x and y.
    first
        Middle of the first cell, (x, y) in pixels of the image.
    """

    values: NDArray[np.float32]
    step: Place
    first: Place
