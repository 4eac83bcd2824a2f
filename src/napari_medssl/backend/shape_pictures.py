"""Pictures of shapes: black but for the shapes, or masks that number them from 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.io.mask_values import read_mask_values

_EVEN = 0.7  # least part of pixels of a mask whose right neighbour has their number
_MOST_IN_A_ROW = 128  # numbers without a gap; more may be all greys of a rim
_MANY = 8


def read_shape(ref: ImageRef) -> NDArray[np.bool_]:
    """Return where the shapes of a picture are, shape (Y, X).

    Raises
    ------
    UserError
        If it cannot be read, or is a photograph.
    """
    try:
        values = read_mask_values(ref)
    except UserError:  # in colours, or of a kind that keeps no numbers: it may be a picture still
        return _bright(read_image(ref))
    return np.asarray(values != 0) if _are_numbers(values) else _bright(read_image(ref))


def _are_numbers(values: NDArray[np.integer]) -> bool:
    """Say whether values number objects or classes, rather than say how bright a picture is.

    Numbers are even within an object, as greys of a photograph are not. A drawn shape may be even
    too, but is nearly all of one value, with a rim of others.
    """
    found, counts = _counted(values)
    if len(found) < 2 or len(found) == values.size:
        return False
    both = (values[:, 1:] != 0) & (values[:, :-1] != 0)
    is_even = np.count_nonzero(values[:, 1:][both] == values[:, :-1][both]) >= _EVEN * both.sum()
    in_a_row = int(found[-1]) == len(found) < _MOST_IN_A_ROW
    is_spread = len(found) > _MANY and counts[-1] < counts.sum() / 2
    return bool(is_even) and (in_a_row or bool(is_spread))


def _counted(
    values: NDArray[np.integer],
) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """Return the values above 0 that are there, in order, and how many pixels have each."""
    if values.dtype.itemsize <= 2:
        every = np.bincount(values.ravel())
        found = np.flatnonzero(every[1:]) + 1
        return found, every[found]
    numbers, counts = np.unique(values, return_counts=True)
    return numbers[numbers != 0], counts[numbers != 0]


def _bright(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a picture of two values is bright.

    Raises
    ------
    UserError
        If most of it lies between: a photograph is no shape.
    """
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    top = int(grey.max())
    if top == 0:
        return np.zeros(grey.shape, bool)
    between = float(((grey > 0.2 * top) & (grey < 0.8 * top)).mean())
    if between > 0.2:
        raise UserError(
            f"{between:.0%} of a picture of shapes are neither dark nor bright; due is a binary "
            "picture, black but for the shapes, or a mask that numbers them from 1."
        )
    return np.asarray(grey > top / 2)
