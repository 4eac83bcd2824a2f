"""Class numbers of volumes, slice by slice, as segmenting or exporting a volume writes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_legend import ClassLegend
from napari_medssl.io.mask_values import class_numbers
from napari_medssl.io.volumes import Volume, is_nifti, open_volume, volume_kind

Spacing = tuple[float, float]
VolumeSpacing = tuple[float, float, float]
_MOST_VOXELS = 2**31  # of what is read whole


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """What the header of a volume of class numbers tells.

    Attributes
    ----------
    shape
        (Z, Y, X).
    spacing_mm
        Distance of voxels along (z, y, x), None where it is not known.
    voxel_mm3
        Volume of a voxel; less than the product of the distances where slices are slanted.
    legend
        Names and colours of classes, as far as the file knows them.
    """

    shape: tuple[int, int, int]
    spacing_mm: VolumeSpacing | None
    voxel_mm3: float | None
    legend: ClassLegend


@dataclass(frozen=True, slots=True)
class ClassVolume:
    """A volume of class numbers: uint8, shape (Z, Y, X), and what its header tells."""

    classes: NDArray[np.uint8]
    facts: VolumeFacts


def is_class_volume(path: Path) -> bool:
    """Say whether a file is NIfTI, of one slice or more, whose header calls the values labels.

    Floats are none: a scan is never taken for masks.
    """
    if not is_nifti(path) or not path.is_file():
        return False
    try:
        with open_volume(path) as volume:
            return volume.is_mask
    except UserError:  # none that could be read
        return False


def volume_facts(path: Path) -> VolumeFacts | None:
    """Return what the header of a volume tells, None of a picture; of NIfTI always something.

    Raises
    ------
    UserError
        If it is damaged.
    """
    if volume_kind(path) is None:
        return None
    with open_volume(path) as volume:
        return _facts(volume)


def read_class_volume(path: Path) -> ClassVolume:
    """Return all slices of a volume of class numbers.

    Raises
    ------
    UserError
        If it is missing, damaged, very large, or holds other numbers than 0 to 255.
    """
    with open_volume(path) as volume:
        if np.prod(volume.shape, dtype=np.int64) > _MOST_VOXELS:
            raise UserError(
                f"{path.name!r} has {' x '.join(map(str, volume.shape[::-1]))} voxels, too many to "
                "show at once. Open it in the widget 'Segmentation', slice by slice."
            )
        classes = np.empty(volume.shape, np.uint8)
        for z in range(volume.shape[0]):
            classes[z] = _class_numbers(volume, z)
        return ClassVolume(classes, _facts(volume))


def read_class_slice(
    path: Path, z: int, *, as_foreground: bool = False
) -> tuple[NDArray[np.uint8], Spacing | None]:
    """Return the class numbers of slice `z` (from 0), and the size of a pixel `(x, y)` in mm.

    Parameters
    ----------
    as_foreground
        See `io.mask_values.class_numbers`.

    Raises
    ------
    UserError
        If it is missing, damaged, or holds other numbers than 0 to 255.
    """
    with open_volume(path) as volume:
        if not 0 <= z < volume.shape[0]:
            raise UserError(
                f"Cannot read slice {z + 1} of the mask {path.name!r}: it has {volume.shape[0]}."
            )
        found = _class_numbers(volume, z, as_foreground=as_foreground)
        return found, pixel_side(_facts(volume).spacing_mm)


def read_one_slice(
    path: Path, *, as_foreground: bool = False
) -> tuple[NDArray[np.uint8], Spacing | None]:
    """Return the only slice of a volume of class numbers, as `read_class_slice` does."""
    with open_volume(path) as volume:
        if volume.shape[0] != 1:
            raise UserError(
                f"Cannot read the mask {path.name!r} as one picture: it has {volume.shape[0]} "
                f"slices. Name one of them, as '{path.name}#page=1'."
            )
    return read_class_slice(path, 0, as_foreground=as_foreground)


def pixel_side(spacing: VolumeSpacing | None) -> Spacing | None:
    """Return the distance of pixels `(x, y)` in the slices of a volume."""
    return None if spacing is None else (spacing[2], spacing[1])


def _facts(volume: Volume) -> VolumeFacts:
    spacing = volume.sure_spacing_mm
    if spacing is not None:  # the header has 32 bits: 0.1 is 0.1 again
        z, y, x = (float(f"{side:.7g}") for side in spacing)
        spacing = (z, y, x)
    voxel = None if spacing is None else math.prod(spacing) * _slant(volume)
    return VolumeFacts(volume.shape, spacing, voxel, volume.legend)


def _slant(volume: Volume) -> float:
    """Return by which part a voxel is smaller than a box of its sides: 1 of what is upright."""
    if volume.place is None:
        return 1.0
    steps = volume.place[:3, :3]
    sides = np.linalg.norm(steps, axis=0)
    if not (np.isfinite(steps).all() and sides.all()):
        return 1.0
    part = abs(float(np.linalg.det(steps / sides)))
    # Turned volumes differ from 1 by what 32 bits leave; what is nearly flat is a broken header.
    return part if 0.1 < part < 1 - 1e-5 else 1.0


def _class_numbers(volume: Volume, z: int, *, as_foreground: bool = False) -> NDArray[np.uint8]:
    name = volume.path.name if volume.shape[0] == 1 else f"{volume.path.name}#page={z + 1}"
    return class_numbers(volume.values(z), name, as_foreground=as_foreground)
