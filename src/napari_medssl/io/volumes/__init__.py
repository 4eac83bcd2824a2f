"""Volumes, slice by slice: NIfTI, TIFF stacks and zarr, and masks in the format of their image.

A volume is read a slice at a time, so that memory holds one; its header is checked before anything
is allocated. The mask of a volume is written in the same format, with the same size of a voxel and
the same place in space, whole or not at all.

Axes are (Z, Y, X) here, whatever the file's are:

- NIfTI: slices along the third axis as it is stored, rows along the second, columns along the
  first; nothing is turned. The mask has the header of its image, and with it the affine.
- TIFF: the pages. Spacing is that of ImageJ or OME.
- zarr: the first level of an OME-Zarr image, or an array of 2 or 3 axes without metadata.

Values become 8 bits by one line for the whole volume (`io.pixels`, robust), so that an empty slice
stays dark beside a bright one: wide values, and 8 bits of a dim volume. So do slices of NIfTI and
pages of a TIFF stack that are read one by one (`io.images`).
"""

from __future__ import annotations

from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.volumes.volume import Volume
from napari_medssl.io.volumes.zarr_folder import is_zarr

__all__ = ["Volume", "is_nifti", "is_zarr", "open_volume", "volume_kind"]

_NIFTI = (".nii", ".nii.gz")


def is_nifti(path: Path) -> bool:
    """Say whether a file is NIfTI by its name: compressed, it begins like any other."""
    return path.name.lower().endswith(_NIFTI)


def volume_kind(path: Path) -> str | None:
    """Return "nifti", "zarr", "tiff" for a stack, or None for anything else.

    NIfTI is told by its name, see `is_nifti`. Raises `UserError` for a damaged TIFF file.
    """
    if is_nifti(path):
        return "nifti"
    if is_zarr(path):
        return "zarr"
    if path.is_file() and _starts_like_tiff(path):
        from napari_medssl.io.volumes.tiff_stack import is_stack

        return "tiff" if is_stack(path) else None
    return None


def open_volume(path: Path) -> Volume:
    """Open a volume for reading; close it, or use it as a context manager.

    Raises
    ------
    UserError
        If it is missing, damaged, hostile, or no volume.
    """
    kind = volume_kind(path)
    if kind == "nifti":
        from napari_medssl.io.volumes.nifti import NiftiVolume

        return NiftiVolume(path)
    if kind == "zarr":
        from napari_medssl.io.volumes.zarr_volume import ZarrVolume

        return ZarrVolume(path)
    if kind == "tiff":
        from napari_medssl.io.volumes.tiff_stack import TiffStack

        return TiffStack(path)
    raise UserError(
        f"Cannot read {path.name!r} as a volume; due is NIfTI (.nii, .nii.gz), a TIFF stack or a "
        "zarr folder."
    )


def _starts_like_tiff(path: Path) -> bool:
    from napari_medssl.io.sniff import picture_kind

    return picture_kind(path) == "tiff"
