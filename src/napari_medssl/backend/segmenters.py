"""Models that segment pictures: one interface, chosen by the task of a model's card."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.jobs import ShouldStop, never
from napari_medssl.backend.models import ModelCard, load_card

# Each task that segments adds its loader here; only the one that is asked for is imported.
_LOADERS = {
    "shape-guided": "napari_medssl.backend.shape_segmenter:load_shape_segmenter",
    "segmentation": "napari_medssl.backend.action_segmenter:load_action_segmenter",
}

READOUTS = ("channel", "cosine")


@dataclass(frozen=True)
class SegmentConfig:
    """Segment pictures with a trained model."""

    model: str = option(help="Name of a model (see medssl models) or its .safetensors file.")
    readout: str = option(
        "channel",
        help="Of a shape-guided model: share of the region, or likeness to its embedding.",
        choices=READOUTS,
    )
    threshold: float = option(0.5, help="Least share, or cosine, of a class.", min=0.0, max=1.0)
    device: str = option("auto", help="Where to run.", choices=("auto", "cpu", "cuda", "mps"))


class Segmenter(Protocol):
    """A model that gives each pixel of a picture a class."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of classes 1, 2 and so on; 0 is the rest."""

    def segment(
        self,
        pixels: NDArray[np.generic],
        inside: NDArray[np.bool_] | None = None,
        *,
        should_stop: ShouldStop = never,
    ) -> NDArray[np.uint8]:
        """Return the class of each pixel, shape (Y, X).

        Parameters
        ----------
        pixels
            Shape (Y, X), (Y, X, 1) or (Y, X, 3).
        inside
            The field of view, shape (Y, X); None to find it in the picture.

        Raises
        ------
        UserError
            If the array is no picture.
        Cancelled
            If `should_stop` said so.
        """


@runtime_checkable
class UnsureSegmenter(Segmenter, Protocol):
    """A model that says besides how undecided it is."""

    def look(
        self, pixels: NDArray[np.generic], *, should_stop: ShouldStop = never
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the class of each pixel, and the entropy of its shares, 0 to 1, both (Y, X)."""


def can_segment(card: ModelCard) -> bool:
    """Say whether the model of a card segments."""
    return card.task in _LOADERS


def load_segmenter(config: SegmentConfig) -> Segmenter:
    """Return the model that `config` names.

    Raises
    ------
    UserError
        If there is none, it does not segment, or its file cannot or must not be read.
    """
    card = load_card(config.model)
    where = _LOADERS.get(card.task)
    if where is None:
        raise UserError(
            f"Model {card.name!r} is for the task {card.task!r} and segments nothing; due is one "
            f"of {', '.join(_LOADERS)}. See medssl models."
        )
    module, function = where.split(":")
    segmenter: Segmenter = getattr(import_module(module), function)(config)
    return segmenter
