"""Files that are scored: the truth of volumes, on the grid of the image, and their spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.picture_slices import check_place, read_mask_slices
from napari_medssl.backend.segmentation_data import TABLE
from napari_medssl.io.images import ImageRef
from napari_medssl.io.pixel_size import pixel_size
from napari_medssl.io.volumes import open_volume, volume_kind
from napari_medssl.io.volumes.volume import Spacing

_NEAR = 0.01  # of a step: formats round


@dataclass(frozen=True, slots=True)
class VolumeTruth:
    """What a mask says of a volume.

    Attributes
    ----------
    values
        Of each voxel, as many slices as the image has, shape (Z, Y, X).
    spacing
        Of voxels along (z, y, x) in mm; None where neither image nor mask says it.
    """

    values: NDArray[np.integer]
    spacing: Spacing | None


def read_volume_truth(image: Path, mask: Path) -> VolumeTruth:
    """Return the values of a mask that lies on the grid of its image.

    Raises
    ------
    UserError
        If one cannot be read, or they differ in size, spacing or place.
    """
    check_place(ImageRef(image), ImageRef(mask))
    with open_volume(image) as volume:
        (depth, height, width), spacing = volume.shape, volume.spacing_mm
    planes = read_mask_slices(ImageRef(mask))
    if len(planes) != depth:
        raise UserError(
            f"{image.name!r} has {depth} slices, its mask {mask.name!r} {len(planes)}; due are as "
            "many."
        )
    for plane in planes:
        if plane.shape != (height, width):
            raise UserError(
                f"Mask {mask.name!r} has {plane.shape[1]} x {plane.shape[0]} pixels, its image "
                f"{width} x {height}; due is one size."
            )
    of_mask = _spacing_of(mask)
    if spacing and of_mask and not is_near(spacing, of_mask):
        raise UserError(
            f"{image.name!r} has voxels of {sides_text(spacing)} mm, its mask {mask.name!r} of "
            f"{sides_text(of_mask)} mm. Save the mask on the grid of its image."
        )
    return VolumeTruth(np.stack(planes), spacing or of_mask)


def image_spacing(image: Path, mask: Path | None = None) -> tuple[float, float] | None:
    """Return the distance in mm of rows and columns of an image; None if no file says it.

    Parameters
    ----------
    mask
        Is asked where the image does not say it.

    Raises
    ------
    UserError
        If a mask says another than its image.
    """
    of_image = pixel_size(image)
    of_mask = pixel_size(mask) if mask else None
    if mask and of_image and of_mask and not is_near(of_image, of_mask):
        raise UserError(
            f"{image.name!r} has pixels of {sides_text(of_image)} mm, its mask {mask.name!r} of "
            f"{sides_text(of_mask)} mm. Save the mask with the size of its image, or write "
            f"spacing_mm into {TABLE}."
        )
    found = of_image or of_mask
    return None if found is None else (found[1], found[0])


def is_near(one: Sequence[float], other: Sequence[float]) -> bool:
    """Say whether two spacings of as many axes are one: formats round."""
    return np.allclose(one, other, rtol=_NEAR, atol=0)


def sides_text(spacing: Sequence[float]) -> str:
    """Return a spacing as a person reads it."""
    return " x ".join(f"{side:g}" for side in spacing)


def is_volume_file(path: Path) -> bool:
    """Say whether a file is a volume; `UserError` for a damaged TIFF file."""
    return volume_kind(path) is not None


def _spacing_of(mask: Path) -> Spacing | None:
    if volume_kind(mask) is None:
        return None
    with open_volume(mask) as volume:
        return volume.spacing_mm
