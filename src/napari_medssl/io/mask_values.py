"""Masks of other programs: one whole number a pixel, in PNG, TIFF, BMP or GIF.

A picture with a palette has the places in it as its numbers; grey stored as RGB is grey. Formats
that change values when they are written (JPEG, WebP) are refused, for no number could be trusted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.images import ImageRef
from napari_medssl.io.limits import one_line
from napari_medssl.io.sniff import picture_kind

_LOSSLESS = ("png", "tiff", "bmp", "gif")


def read_mask_values(ref: ImageRef) -> NDArray[np.integer]:
    """Return the number of each pixel of a mask, shape (Y, X), of the smallest unsigned type.

    Raises
    ------
    UserError
        If the file is missing, damaged, too large or of another kind, is in colours, or holds
        values that are no whole numbers from 0 up.
    """
    kind = picture_kind(ref.path)
    if kind not in _LOSSLESS:
        came = f"is a {kind.upper()} file" if kind else "is of no kind that we know"
        raise UserError(
            f"Mask {ref.name!r} {came}; due is PNG, TIFF or NIfTI, which keep each number as it is."
        )
    try:
        values = _read(ref, kind)
    except UserError:
        raise
    except Exception as error:  # decoders raise nearly everything on damaged files
        raise UserError(f"Mask {ref.name!r} cannot be read: {one_line(error)}.") from error
    return whole_numbers(values, ref.name)


def whole_numbers(values: NDArray[np.generic], name: str) -> NDArray[np.integer]:
    """Return values, shape (Y, X[, S]), as one whole number a pixel, shape (Y, X).

    Raises
    ------
    UserError
        If the samples of a pixel differ, or a value is no whole number from 0 up.
    """
    if values.ndim == 3:
        colors = values[..., :3] if values.shape[2] > 2 else values[..., :1]
        if (colors != colors[..., :1]).any():
            raise UserError(f"Mask {name!r} is in colours; due is one number a pixel.")
        values = colors[..., 0]
    if values.dtype.kind not in "buif":
        raise UserError(f"Mask {name!r} holds {values.dtype}; due are whole numbers.")
    if values.dtype.kind == "f" and not (values == np.rint(np.real(values))).all():
        odd = values[values != np.rint(np.real(values))].flat[0]
        raise UserError(f"Mask {name!r} has the value {odd:g}; due are whole numbers.")
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if low < 0 or high > 2**53:
        raise UserError(
            f"Mask {name!r} has the value {low if low < 0 else high}; due are whole numbers from "
            "0 up."
        )
    return np.ascontiguousarray(values, dtype=np.min_scalar_type(int(high)))


def class_numbers(
    values: NDArray[np.generic], name: str, *, as_foreground: bool = False
) -> NDArray[np.uint8]:
    """Return values, shape (Y, X[, S]), as numbers of classes, shape (Y, X).

    Parameters
    ----------
    as_foreground
        Whether all but 0 is class 1, as where the values number objects.

    Raises
    ------
    UserError
        If they are no whole numbers, or too large for classes.
    """
    if values.dtype == np.uint8 and values.ndim == 2 and not as_foreground:
        return np.ascontiguousarray(values, np.uint8)
    numbers = whole_numbers(values, name)
    if as_foreground:
        return np.asarray(numbers != 0, np.uint8)
    if numbers.dtype != np.uint8:
        raise UserError(
            f"Mask {name!r} has numbers to {numbers.max()}; due are those of classes, 0 to 255. "
            "Where they number objects, medssl takes all but 0 as one class: say --mask-values "
            "foreground."
        )
    return np.ascontiguousarray(numbers, np.uint8)


def _read(ref: ImageRef, kind: str) -> NDArray[np.generic]:
    # The decoders are imported here: listing needs none of them.
    if kind == "tiff":
        from napari_medssl.io.tiff_pages import read_tiff_values

        return read_tiff_values(ref.path, ref.page or 1)
    from napari_medssl.io.pillow_pictures import values_with_pillow

    return values_with_pillow(ref.path, kind)
