"""The K regions of an image: which region of a model each pixel belongs to most.

The clustering branch of local discrimination gives every pixel shares of K regions, the same K in
all images; a shape-guided model is one whose first region was steered by shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.flat_pictures import flat_picture
from napari_medssl.backend.jobs import ShouldStop, never
from napari_medssl.backend.models import load_card
from napari_medssl.backend.pixel_embedding import TASK, PixelEmbedder, load_pixel_embedder
from napari_medssl.backend.shape_segmenter import TASK as SHAPE_TASK
from napari_medssl.backend.shape_segmenter import picture_settings

TASKS = (TASK, SHAPE_TASK)
"""Tasks of the models that have regions."""


@dataclass(frozen=True, slots=True)
class RegionMap:
    """The regions of one image.

    Attributes
    ----------
    model
        Name of the model.
    regions
        Number of each pixel's region, 1 to K, shape (Y, X), uint8 or, for more than 255 regions,
        uint16; 0 outside the field of view.
    names
        Of regions 1 to K.
    """

    model: str
    regions: NDArray[np.uint8] | NDArray[np.uint16]
    names: tuple[str, ...]


class RegionFinder:
    """Finds the regions of images.

    Parameters
    ----------
    embedder
        The network.
    channel
        Of colour pictures, for a shape-guided model, see `flat_picture`; "" for others.
    names
        Of the first regions, for those that have one.
    """

    def __init__(
        self, embedder: PixelEmbedder, channel: str = "", names: tuple[str, ...] = ()
    ) -> None:
        self._embedder, self._channel = embedder, channel
        count = embedder.info.clusters
        others = tuple(f"region {number}" for number in range(len(names) + 1, count + 1))
        self.names = (*names, *others)

    def find(self, pixels: NDArray[np.generic], *, should_stop: ShouldStop = never) -> RegionMap:
        """Return the regions of a picture, shape (Y, X), (Y, X, 1) or (Y, X, 3).

        Raises
        ------
        UserError
            If the array is no picture.
        Cancelled
            If `should_stop` said so.
        """
        embedder = self._embedder
        inside: NDArray[np.bool_] | None = None
        if self._channel:
            flat = flat_picture(pixels, embedder.info.pixels, self._channel)
            plane, inside = flat.plane, flat.inside
        else:
            plane = embedder.resize(pixels)
        owners = embedder.assign_image(plane, should_stop=should_stop).argmax(axis=2) + 1
        found = enlarged(owners, pixels.shape[:2])
        if inside is not None:
            found = np.where(enlarged(inside.astype(np.int64), pixels.shape[:2]), found, 0)
        small = found.astype(np.uint8) if len(self.names) < 256 else found.astype(np.uint16)
        return RegionMap(embedder.info.name, small, self.names)


def load_region_finder(model: str, device: str = "auto") -> RegionFinder:
    """Return what finds the regions of a model.

    Raises
    ------
    UserError
        If there is no such model, it has no regions, or its file cannot or must not be read.
    """
    card = load_card(model)
    if card.task not in TASKS:
        raise UserError(
            f"Model {card.name!r} is for the task {card.task!r} and has no regions; due is one of "
            "`medssl train local-discrimination` or `medssl train shape-guided`."
        )
    embedder = load_pixel_embedder(model, device, task=card.task)
    if embedder.info.clusters < 2:
        raise UserError(
            f"Model {card.name!r} knows one region only, so there is nothing to tell apart. Train "
            "one with more --clusters."
        )
    if card.task == TASK:
        return RegionFinder(embedder)
    return RegionFinder(embedder, *picture_settings(card))


def enlarged(classes: NDArray[np.int64], size: tuple[int, ...]) -> NDArray[np.int64]:
    """Return class numbers at another size, each from the pixel that lies there."""
    rows = ((np.arange(size[0]) + 0.5) * classes.shape[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * classes.shape[1] / size[1]).astype(int)
    return np.asarray(classes[rows[:, None], columns])
