"""The slices of an image or mask file: one of an ordinary picture, each page of a stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.io.images import ImageRef, read_image, refs_of
from napari_medssl.io.mask_values import read_mask_values
from napari_medssl.io.sniff import picture_kind


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of an image file, or all of it.

    Attributes
    ----------
    name
        File name, with "#page=N" for one of several.
    pixels
        uint8 RGB, shape (Y, X, 3).
    """

    name: str
    pixels: NDArray[np.uint8]


def read_slices(ref: ImageRef, *, should_stop: ShouldStop = never) -> list[Slice]:
    """Return the slices of an image file, or the one of the page that is named.

    Raises
    ------
    UserError
        If it cannot be read.
    Cancelled
        If `should_stop` said so.
    """
    found = []
    for one in [ref] if ref.page else refs_of(ref.path):
        _check_going_on(should_stop)
        found.append(Slice(one.name, read_image(one, robust=True)))
    return found


def read_mask_slices(
    ref: ImageRef, *, should_stop: ShouldStop = never
) -> list[NDArray[np.integer]]:
    """Return the numbers of a mask by slices, shape (Y, X) each; see `read_slices`."""
    found = []
    several = ref.page is None and picture_kind(ref.path) == "tiff"
    for one in refs_of(ref.path) if several else [ref]:
        _check_going_on(should_stop)
        found.append(read_mask_values(one))
    return found


def _check_going_on(should_stop: ShouldStop) -> None:
    if should_stop():
        raise Cancelled("Stopped while reading the images.")
