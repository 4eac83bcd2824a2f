"""Distances between the surfaces of two masks: their mean (ASD) and 95th percentile (HD95).

The surface of a mask is its voxels that have a neighbour across a side (4 in images, 6 in volumes)
outside it; beyond the array is outside. Each surface voxel has the Euclidean distance of its centre
to the nearest centre of the other surface. ASD is the average symmetric surface distance: the mean
of these distances of both surfaces together. HD95 is the greater of the 95th percentiles of the two
surfaces, each by itself, interpolated linearly.

Both are what MONAI computes (ASD with `symmetric=True`), and HD95 is taken in the same way by
DeepMind's `surface-distance`, which weights voxels by area besides. MedPy, behind most published
tables of ACDC, takes one percentile of both sets together, and as its symmetric mean that of the
two means; its `asd`, the figure of ACTION's code, looks from the segmentation alone and in voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NONE = math.nan


@dataclass(frozen=True, slots=True)
class SurfaceDistances:
    """Distances in the unit of the spacing; not a number where they are not defined.

    Attributes
    ----------
    asd
        Average symmetric surface distance.
    hd95
        Greater of the 95th percentiles of both directions.
    """

    asd: float
    hd95: float


def surface_distances(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float]
) -> SurfaceDistances:
    """Return how far the surfaces of two masks are from each other.

    Without a truth they are not defined, and not a number. With a truth of which nothing is found
    both are the diagonal of the whole array, a bound that no distance reaches: not to find must not
    look better than to find badly.

    Parameters
    ----------
    found, truth
        Masks of one shape, (Y, X) or (Z, Y, X).
    spacing
        Distance between centres of neighbours along each axis, such as in mm.
    """
    _check(found, truth, spacing)
    if not truth.any():
        return SurfaceDistances(_NONE, _NONE)
    if not found.any():
        bound = diagonal(truth.shape, spacing)
        return SurfaceDistances(bound, bound)
    box = _box_around(found | truth)
    first, second = surface(found[box]), surface(truth[box])
    sides = (_distances(first, second, spacing), _distances(second, first, spacing))
    return SurfaceDistances(
        float(np.concatenate(sides).mean()),
        float(max(np.percentile(side, 95) for side in sides)),
    )


def surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels of a mask that have a neighbour across a side outside it."""
    from scipy import ndimage

    return np.asarray(mask & ~ndimage.binary_erosion(mask, border_value=0))


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Return the length of the diagonal of an array, from outer corner to outer corner."""
    return math.hypot(*(side * step for side, step in zip(shape, spacing, strict=True)))


def _check(found: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float]) -> None:
    if found.shape != truth.shape:
        raise ValueError(f"Masks of {found.shape} and {truth.shape} are not of one image.")
    if found.ndim not in (2, 3):
        raise ValueError(f"Masks have {found.ndim} axes; due are 2 or 3.")
    if len(spacing) != found.ndim or not all(0 < step < math.inf for step in spacing):
        raise ValueError(f"Spacing {tuple(spacing)!r}; due are {found.ndim} numbers above 0.")


def _box_around(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box with all of a mask: surfaces and distances are the same in it."""
    found = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        (places,) = np.nonzero(mask.any(axis=others))
        found.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(found)


def _distances(
    places: NDArray[np.bool_], other: NDArray[np.bool_], spacing: Sequence[float]
) -> NDArray[np.float64]:
    """Return the distance of each place to the nearest one of the other surface."""
    from scipy import ndimage

    far = ndimage.distance_transform_edt(~other, sampling=tuple(spacing))
    return np.asarray(far[places], np.float64)
