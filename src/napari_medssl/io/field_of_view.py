"""The field of view of a picture, and the picture with even light inside it.

A fundus camera lights a disc and leaves the rest black; an X-ray or a photograph fills its frame.
Both are found from the picture alone: what is near black and joined to its border lies
outside, and so does white paper there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLACK = 0.12  # of the bright pixels: darker ones may lie outside
_WHITE = 254  # of 255, in every channel
_LEAST_OUTSIDE = 0.02  # a smaller dark rim is part of the picture
_SPREAD = 40.0  # grey values of one standard deviation, flattened
_MIDDLE = 128.0
_SEEN = 512  # longer side at which a rim is looked for


def field_of_view(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a picture shows something, shape (Y, X); everywhere, if it has no rim.

    Parameters
    ----------
    pixels
        uint8, shape (Y, X) or (Y, X, C). A pixel counts as bright as its brightest channel.

    Notes
    -----
    Holes and bays of the disc, such as dark vessels or a dim edge, belong to it.
    """
    from scipy import ndimage

    bright = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    bright = np.where(_white_rim(pixels), 0, bright)
    smooth = ndimage.median_filter(bright, 5)
    level = max(8.0, _BLACK * float(np.percentile(smooth, 95)))
    regions, count = ndimage.label(smooth > level)
    if not count:
        return np.ones(bright.shape, bool)
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    # More than one: a vessel as dark as the rim may cut the disc in two.
    large = np.flatnonzero(sizes > sizes.max() / 10)
    inside = ndimage.binary_fill_holes(np.isin(regions, large))
    radius = max(2, min(bright.shape) // 50)
    inside = _opened_and_closed(inside, radius)
    outside_share = 1 - inside.mean()
    if outside_share < _LEAST_OUTSIDE or outside_share > 0.9:
        return np.ones(bright.shape, bool)
    return inside


def _white_rim(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the white paper around a picture: where it was transparent, or cut from a page."""
    from scipy import ndimage

    white = (pixels if pixels.ndim == 2 else pixels.min(axis=2)) >= _WHITE
    regions, _ = ndimage.label(white)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    rim = np.isin(regions, np.setdiff1d(border, [0]))
    if rim.mean() < _LEAST_OUTSIDE:
        return np.zeros(rim.shape, bool)
    # A picture that was shrunk has a grey seam between the two.
    return np.asarray(ndimage.binary_dilation(rim, iterations=1))


def small_field_of_view(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the field of view found on a small copy: a rim needs no more, and it is fast.

    Parameters
    ----------
    pixels
        uint8, shape (Y, X), (Y, X, 1) or (Y, X, 3).

    Returns
    -------
    NDArray
        Of the same sides to each other, the longer one of at most 512 pixels.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = min(1.0, _SEEN / max(height, width))
    plane = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    small = Image.fromarray(np.ascontiguousarray(plane)).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR
    )
    return field_of_view(np.asarray(small))


def flatten_light(
    plane: NDArray[np.uint8], inside: NDArray[np.bool_], reach: float
) -> NDArray[np.uint8]:
    """Return a plane with the same mean and spread of light everywhere, uint8, shape (Y, X).

    From each pixel the mean around it is taken away, and what is left is divided by the spread in a
    wider surrounding; both see only what lies inside. Outside, the plane is even. At the rim, where
    light falls off, the mean goes on as steeply: else the rim would stand out as a dark line.

    Parameters
    ----------
    plane
        One channel, shape (Y, X).
    inside
        The field of view, shape (Y, X).
    reach
        Standard deviation in pixels of the Gaussian that takes the mean; the spread's is 4 times.
    """
    weight = inside.astype(np.float32)
    values = _continued(plane.astype(np.float32), inside, max(1.0, reach / 16))
    within = wide_blur(np.ones_like(values), reach)  # less at the border of the picture
    mean = wide_blur(values, reach) / within
    rest = (plane - mean) * weight
    # Bright spots such as the optic disc do not decide what is a large spread.
    limit = 4 * float(np.median(np.abs(rest[inside]))) + 1e-3 if inside.any() else 1.0
    power = wide_blur(np.minimum(np.abs(rest), limit) ** 2, 4 * reach)
    spread = np.sqrt(power / np.maximum(wide_blur(weight, 4 * reach), 1e-3))
    flat = np.where(inside, rest / np.maximum(spread, 0.5), 0.0)
    return np.clip(_MIDDLE + _SPREAD * flat, 0, 255).round().astype(np.uint8)


def _continued(
    values: NDArray[np.float32], inside: NDArray[np.bool_], sigma: float
) -> NDArray[np.float32]:
    """Return values that go on outside as steeply as inside: mirrored at the rim, upside down.

    Where the mirrored place is not inside either, the value of the rim goes on.
    """
    from scipy import ndimage

    if inside.all() or not inside.any():
        return values
    weight = inside.astype(np.float32)
    smooth = wide_blur(values * weight, sigma) / np.maximum(wide_blur(weight, sigma), 1e-3)
    outside = np.nonzero(~inside)
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)[
        :, *outside
    ]
    mirrored = np.clip(2 * nearest - np.stack(outside), 0, np.array(values.shape)[:, None] - 1)
    mirrored = np.where(inside[*mirrored], mirrored, nearest)
    found = values.copy()
    found[outside] = 2 * smooth[*nearest] - smooth[*mirrored]
    return found


def wide_blur(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return a Gaussian blur, nothing beyond the border; wide ones on a coarser grid: faster."""
    from scipy import ndimage

    step = max(1, int(sigma // 4))
    if step == 1:
        return np.asarray(ndimage.gaussian_filter(values, sigma, mode="constant", truncate=3.0))
    height, width = values.shape
    padded = np.pad(values, ((0, -height % step), (0, -width % step)))
    rows, columns = padded.shape[0] // step, padded.shape[1] // step
    coarse = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    smooth = ndimage.gaussian_filter(coarse, sigma / step, mode="constant", truncate=3.0)
    fine = ndimage.zoom(smooth, step, order=1, grid_mode=True, mode="nearest")
    return np.asarray(fine[:height, :width])


def _opened_and_closed(inside: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Return a mask without spurs and bays narrower than twice the radius, by distances."""
    from scipy import ndimage

    padded = np.pad(inside, radius + 1, mode="edge")
    core = ndimage.distance_transform_edt(padded) > radius
    opened = ndimage.distance_transform_edt(~core) <= radius
    grown = ndimage.distance_transform_edt(~opened) <= radius
    closed = ndimage.distance_transform_edt(grown) > radius
    own = slice(radius + 1, -radius - 1)
    return np.asarray(closed[own, own])
