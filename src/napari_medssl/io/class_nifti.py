"""Class numbers of pixels as a NIfTI file of one slice, with the size of a pixel.

Axes and affine are as ITK writes a picture: x to the left and y to the back of the patient, so that
viewers show the slice as the picture, beside one that was converted by ITK.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.limits import check_size, one_line

_MM = 2  # NIfTI's code for millimetres
_EFFORT = (
    4  # of gzip: numbers of classes get hardly smaller with more, but 9 takes 20 times as long
)
Spacing = tuple[float, float]


def class_nifti(classes: NDArray[np.uint8], spacing_mm: Spacing | None) -> bytes:
    """Return class numbers, shape (Y, X), as the content of a packed NIfTI file, shape (X, Y, 1).

    The size of a pixel, `(x, y)` in mm; None writes 1 and leaves the unit open.
    """
    import nibabel

    x, y = spacing_mm or (1.0, 1.0)
    affine = np.diag([-x, -y, 1.0, 1.0])
    image = nibabel.Nifti1Image(np.ascontiguousarray(classes.T[..., None]), affine)
    image.header["xyzt_units"] = 0 if spacing_mm is None else _MM
    image.header.set_intent("label")
    # No time in the header: the same mask gives the same bytes.
    return gzip.compress(image.to_bytes(), _EFFORT, mtime=0)


def is_class_nifti(path: Path) -> bool:
    """Say whether a file is NIfTI of one slice whose header calls the values labels."""
    if not path.name.lower().endswith((".nii", ".nii.gz")) or not path.is_file():
        return False
    import nibabel

    try:
        image = nibabel.load(path)
        is_slice = len(image.shape) >= 2 and all(side == 1 for side in image.shape[2:])
        return is_slice and image.header.get_intent()[0] == "label"
    except Exception:  # nibabel raises what it pleases: it is none that could be read
        return False


def read_class_nifti(path: Path) -> tuple[NDArray[np.uint8], Spacing | None]:
    """Return the class numbers of a NIfTI file of one slice, shape (Y, X), and the size of a pixel.

    Raises
    ------
    UserError
        If it is missing, damaged, or holds more than one slice or other numbers than 0 to 255.
    """
    import nibabel

    try:
        image = nibabel.load(path)
        shape = [*image.shape, 1, 1]
        if any(side != 1 for side in shape[2:]):
            raise ValueError(f"its shape is {image.shape}; due is one slice")
        check_size("mask", shape[0], shape[1])
        values = np.asarray(image.dataobj).reshape(shape[:2]).T
        if values.size and not (values == values.astype(np.uint8)).all():
            raise ValueError("it holds other values than whole numbers of 0 to 255")
        sides = image.header.get_zooms()[:2]
        is_mm = int(image.header["xyzt_units"]) & 7 == _MM
    except UserError:
        raise
    except Exception as error:  # nibabel raises what it pleases
        raise UserError(
            f"Cannot read the mask {str(path)!r} ({one_line(error)}). Export it again."
        ) from error
    # The header has 32 bits: 0.1 is 0.1 again.
    known = float(f"{sides[0]:.7g}"), float(f"{sides[1]:.7g}")
    spacing = known if is_mm and min(known) > 0 else None
    return np.ascontiguousarray(values, np.uint8), spacing
