"""The slices of an image or mask file: one of an ordinary picture, all of a volume or of pages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.io.images import ImageRef, read_image, refs_of
from napari_medssl.io.mask_values import read_mask_values, whole_numbers
from napari_medssl.io.sniff import picture_kind
from napari_medssl.io.volumes import Volume, open_volume, volume_kind

_NEAR = 0.01  # of a voxel


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

    Those of a volume become 8 bits by one line, see `io.volumes`.

    Raises
    ------
    UserError
        If it cannot be read.
    Cancelled
        If `should_stop` said so.
    """
    kind = volume_kind(ref.path)
    # A page of a stack is read alone, with the stack's line; one of NIfTI only from the volume.
    if kind is None or (kind == "tiff" and ref.page):
        found = []
        for one in [ref] if ref.page else refs_of(ref.path):
            check_going_on(should_stop)
            found.append(Slice(one.name, read_image(one, robust=True)))
        return found
    with open_volume(ref.path) as volume:
        volume.look_over(lambda _: check_going_on(should_stop))
        found = []
        for z in _places(ref, volume):
            check_going_on(should_stop)
            name = ref.name if volume.shape[0] == 1 else f"{ref.path.name}#page={z + 1}"
            found.append(Slice(name, volume.picture(z)))
        return found


def read_mask_slices(
    ref: ImageRef, *, should_stop: ShouldStop = never
) -> list[NDArray[np.integer]]:
    """Return the numbers of a mask by slices, shape (Y, X) each; see `read_slices`."""
    found = []
    if volume_kind(ref.path) in ("nifti", "zarr"):
        with open_volume(ref.path) as volume:
            for z in _places(ref, volume):
                check_going_on(should_stop)
                found.append(whole_numbers(volume.values(z), ref.path.name))
        return found
    several = ref.page is None and picture_kind(ref.path) == "tiff"
    for one in refs_of(ref.path) if several else [ref]:
        check_going_on(should_stop)
        found.append(read_mask_values(one))
    return found


def check_place(image: ImageRef, mask: ImageRef) -> None:
    """Raise `UserError` if a volume and its mask say that they lie differently in space.

    A mask that was saved in another orientation has the same size, but is turned or mirrored.
    """
    places = []
    for ref in (image, mask):
        if volume_kind(ref.path) is None:
            return
        with open_volume(ref.path) as volume:
            places.append(volume.place)
    of_image, of_mask = places
    if of_image is None or of_mask is None:
        return
    near = _NEAR * float(np.abs(of_image[:3, :3]).max())
    if not np.allclose(of_image, of_mask, rtol=0, atol=near):
        raise UserError(
            f"{image.name!r} and its mask {mask.name!r} lie differently in space: their affines "
            "differ. Save the mask on the grid of its image."
        )


def check_going_on(should_stop: ShouldStop) -> None:
    """Raise `Cancelled` if `should_stop` says so."""
    if should_stop():
        raise Cancelled("Stopped while reading the images.")


def _places(ref: ImageRef, volume: Volume) -> range:
    """Return the slices, from 0, that are meant."""
    if ref.page is None:
        return range(volume.shape[0])
    if ref.page > volume.shape[0]:
        raise UserError(
            f"Cannot read page {ref.page} of {ref.path.name!r}: it has {volume.shape[0]}."
        )
    return range(ref.page - 1, ref.page)
