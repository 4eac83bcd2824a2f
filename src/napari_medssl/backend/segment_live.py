"""Segment on demand, for a window: one image after the other, with the model kept in memory.

`segment_source` and `regions_of_source` are called in the compute process
(`backend.compute_process`), so they take and give what can be pickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.mask_uncertainty import mask_uncertainty
from napari_medssl.backend.model_cache import ModelCache
from napari_medssl.backend.models import ModelCard, find_weights, list_models, load_card
from napari_medssl.backend.region_maps import TASKS as REGION_TASKS
from napari_medssl.backend.region_maps import RegionFinder, RegionMap, load_region_finder
from napari_medssl.backend.segmenters import (
    SegmentConfig,
    Segmenter,
    UnsureSegmenter,
    can_segment,
    load_segmenter,
)
from napari_medssl.io.images import read_image

_SEGMENTERS: ModelCache[Segmenter] = ModelCache(capacity=2)
_FINDERS: ModelCache[RegionFinder] = ModelCache(capacity=2)


@dataclass(frozen=True, slots=True)
class Segmented:
    """The classes of one image.

    Attributes
    ----------
    model, classes
        Name of the model, and of its classes 1, 2 and so on.
    mask
        Class of each pixel, 0 for none, uint8, shape (Y, X).
    uncertainty
        How undecided the model was, see `mask_uncertainty`; None if it cannot say.
    """

    model: str
    classes: tuple[str, ...]
    mask: NDArray[np.uint8]
    uncertainty: float | None = None


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that a person may choose: what it segments, nothing if it has regions only."""

    name: str
    classes: tuple[str, ...]
    about: str


def offered_models() -> tuple[OfferedModel, ...]:
    """Return the registered models that segment or have regions, those that segment first.

    Raises
    ------
    UserError
        If a card cannot be read.
    """
    found = [_offered(model.card) for model in list_models() if _fits(model.card)]
    return tuple(sorted(found, key=lambda one: not one.classes))


def offered_model(name_or_file: str) -> OfferedModel:
    """Return what a model is to a person; UserError if there is none or it has no card."""
    return _offered(load_card(name_or_file))


def _offered(card: ModelCard) -> OfferedModel:
    classes = card.config.get("classes") if can_segment(card) else None
    named = tuple(str(one) for one in classes) if isinstance(classes, list) else ()
    return OfferedModel(card.name, named, card.description)


def _fits(card: ModelCard) -> bool:
    return can_segment(card) or card.task in REGION_TASKS


def prepare(
    config: SegmentConfig, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> None:
    """Load a model, so that what is wrong with it is told once; UserError if it cannot be used."""
    check(config)
    _segmenter(config)


def segment_source(
    config: SegmentConfig,
    source: str,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Segmented:
    """Return the classes of an image file, as `segment_files` writes them.

    Raises
    ------
    UserError
        If the model cannot be used, or the image cannot be read.
    Cancelled
        If `should_stop` said so.
    """
    segmenter = _segmenter(config)
    pixels = read_image(source, robust=True)
    if isinstance(segmenter, UnsureSegmenter):
        mask, entropy = segmenter.look(pixels, should_stop=should_stop)
        doubt = mask_uncertainty(entropy, mask)
        return Segmented(segmenter.name, segmenter.classes, mask, doubt)
    mask = segmenter.segment(pixels, should_stop=should_stop)
    return Segmented(segmenter.name, segmenter.classes, mask)


def uncertainty_of_source(
    config: SegmentConfig,
    source: str,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> NDArray[np.float32]:
    """Return how undecided a model is about each pixel of an image file, 0 to 1, shape (Y, X).

    Raises
    ------
    UserError
        If the model cannot say, or the image cannot be read.
    Cancelled
        If `should_stop` said so.
    """
    segmenter = _segmenter(config)
    if not isinstance(segmenter, UnsureSegmenter):
        raise UserError(
            f"Model {segmenter.name!r} cannot say how sure it is. Choose one that learned from "
            "masks: the page Train, Learn from your masks."
        )
    return segmenter.look(read_image(source, robust=True), should_stop=should_stop)[1]


def regions_of_source(
    model: str,
    device: str,
    source: str,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> RegionMap:
    """Return the regions of an image file.

    Raises
    ------
    UserError
        If the model has no regions, or the image cannot be read.
    Cancelled
        If `should_stop` said so.
    """
    key = (model, device, _stamp(model))
    finder = _FINDERS.get(key, lambda: load_region_finder(model, device))
    return finder.find(read_image(source, robust=True), should_stop=should_stop)


def _segmenter(config: SegmentConfig) -> Segmenter:
    return _SEGMENTERS.get((config, _stamp(config.model)), lambda: load_segmenter(config))


def _stamp(model: str) -> Any:
    """Return what changes when the file of a model does: it may have been trained anew."""
    told = find_weights(model).stat()
    return told.st_mtime_ns, told.st_size
