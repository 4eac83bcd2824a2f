"""What drawing a binary shape needs to know of each pixel, and an image without such shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medssl.io.field_of_view import wide_blur

_PAD = 2


def shape_planes(mask: NDArray[np.bool_], least_width: float = 0.0) -> NDArray[np.float16]:
    """Return mask, width of the branch and depth in it for each pixel, shape (3, Y, X).

    Parameters
    ----------
    mask
        What belongs to the shape, shape (Y, X).
    least_width
        Branches that are narrower, in pixels, are taken out.

    Notes
    -----
    The width of a pixel's branch is twice the distance from the nearest point of the skeleton to
    the border; the depth is the pixel's own distance as a part of that: 0 at the border, 1 in the
    middle.
    """
    from skimage.morphology import skeletonize

    wide = np.pad(mask, _PAD)
    distance = ndimage.distance_transform_edt(wide)
    skeleton = skeletonize(wide)
    if least_width > 0:
        wide = _without_narrow(wide, skeleton, distance, least_width)
        distance = ndimage.distance_transform_edt(wide)
        skeleton = skeletonize(wide)
    if not skeleton.any():
        return np.zeros((3, *mask.shape), np.float16)
    rows, columns = ndimage.distance_transform_edt(
        ~skeleton, return_distances=False, return_indices=True
    )
    half = distance[rows, columns]
    width = np.where(wide, 2 * half - 1, 0)
    depth = np.where(wide, np.minimum(distance / np.maximum(half, 1), 1), 0)
    planes = np.stack([wide, width, depth]).astype(np.float16)
    return planes[:, _PAD:-_PAD, _PAD:-_PAD]


def branch_widths(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the width at each point of the skeleton of a shape, in pixels, shape (N,)."""
    from skimage.morphology import skeletonize

    distance = ndimage.distance_transform_edt(np.pad(mask, _PAD))
    found: NDArray[np.float64] = 2 * distance[skeletonize(np.pad(mask, _PAD))] - 1
    return found


def _without_narrow(
    mask: NDArray[np.bool_],
    skeleton: NDArray[np.bool_],
    distance: NDArray[np.float64],
    least_width: float,
) -> NDArray[np.bool_]:
    """Return the branches whose skeleton is wide enough, joined where the width wavers."""
    rows, columns = ndimage.distance_transform_edt(
        ~skeleton, return_distances=False, return_indices=True
    )
    width = np.where(skeleton, 2 * distance - 1, 0)
    # The largest width along some pixels of the skeleton, so that a waist does not cut a branch.
    along = ndimage.maximum_filter(width, 5)
    return np.asarray(mask & (along[rows, columns] >= least_width))


def dark_parts(
    flat: NDArray[np.uint8], inside: NDArray[np.bool_], part: float, reach: float
) -> NDArray[np.bool_]:
    """Return the darkest part of what is inside, against its surroundings, shape (Y, X).

    Parameters
    ----------
    flat
        An image with even light, shape (Y, X).
    part
        How many of the pixels inside, from 0 to 1.
    reach
        Standard deviation in pixels of the surroundings.
    """
    values = ndimage.gaussian_filter(flat.astype(np.float32), 1.0)
    values -= wide_blur(values, reach) / np.maximum(wide_blur(np.ones_like(values), reach), 1e-3)
    core = ndimage.binary_erosion(inside, iterations=4, border_value=1)
    if not core.any():
        return np.zeros(flat.shape, bool)
    return np.asarray(core & (values < np.quantile(values[core], part)))


def without_parts(
    flat: NDArray[np.uint8],
    parts: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return an image in which some parts are filled as their surroundings are, shape (Y, X).

    The mean around them goes on smoothly across, with the grain of other places on it.
    """
    grown = ndimage.binary_dilation(parts, iterations=3)
    kept = (inside & ~grown).astype(np.float32)
    values = flat.astype(np.float32)
    filled, weight = np.zeros_like(values), np.zeros_like(values)
    for sigma in (4.0, 12.0, 40.0):  # narrow gaps by what is near, wide ones by what is farther
        near = wide_blur(kept, sigma)
        mean = wide_blur(values * kept, sigma) / np.maximum(near, 1e-4)
        share = np.clip(near / 0.15, 0, 1) * (1 - weight)
        filled += share * mean
        weight += share
    filled = np.where(weight > 0.05, filled / np.maximum(weight, 0.05), values.mean())
    grain = (values - filled) * kept
    for _ in range(4):  # grain from elsewhere, until every gap has some
        shift = tuple(int(step) for step in rng.integers(8, 60, 2) * rng.choice([-1, 1], 2))
        moved = np.roll(grain, shift, axis=(0, 1))
        grain = np.where((grain == 0) & grown, moved, grain)
    result = np.where(grown & inside, filled + grain, values)
    return np.clip(result, 0, 255).round().astype(np.uint8)
