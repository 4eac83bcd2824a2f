"""Pictures as shape-guided segmentation sees them: one channel, even light, one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.pixel_embedding import checked_picture
from napari_medssl.backend.sizing import to_channels
from napari_medssl.io.field_of_view import flatten_light, small_field_of_view

CHANNELS = ("green", "red", "blue", "grey")
REACH = 1 / 25
"""Reach of the flattening, a part of the size."""

_RIM = 1 / 120  # part of the size that is taken off the field of view, where light falls off
_LEAST = 32  # pixels


@dataclass(frozen=True, slots=True)
class FlatPicture:
    """A picture with even light.

    Attributes
    ----------
    plane
        uint8, shape (Y, X).
    inside
        The field of view, bool, shape (Y, X).
    """

    plane: NDArray[np.uint8]
    inside: NDArray[np.bool_]

    def cropped(self) -> FlatPicture:
        """Return the picture without what lies around the field of view."""
        rows, columns = np.flatnonzero(self.inside.any(1)), np.flatnonzero(self.inside.any(0))
        own = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        return FlatPicture(self.plane[own], self.inside[own])


def flat_picture(
    pixels: NDArray[np.generic],
    size: int,
    channel: str,
    inside: NDArray[np.bool_] | None = None,
) -> FlatPicture:
    """Return a picture scaled so that the longer side of its field of view has `size` pixels.

    Parameters
    ----------
    pixels
        Shape (Y, X), (Y, X, 1) or (Y, X, 3).
    channel
        One of `CHANNELS`; of a grey picture, its only one.
    inside
        The field of view, shape (Y, X); None to find it in the picture.

    Raises
    ------
    UserError
        If it is no picture, or smaller than 32 pixels.
    """
    picture = checked_picture(pixels)
    height, width = picture.shape[:2]
    if min(height, width) < _LEAST:
        raise UserError(
            f"The image has {width} x {height} pixels; due are at least {_LEAST} along each side."
        )
    seen = small_field_of_view(picture) if inside is None else np.asarray(inside, bool)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        raise UserError("The field of view is empty: no pixel of its mask is set.")
    part = max(
        (np.ptp(rows) + 1) * height / seen.shape[0], (np.ptp(columns) + 1) * width / seen.shape[1]
    )
    scale = size / part
    new = (max(_LEAST, round(width * scale)), max(_LEAST, round(height * scale)))
    plane = np.asarray(
        Image.fromarray(_one_channel(picture, channel)).resize(new, Image.Resampling.BILINEAR)
    )
    field = np.asarray(
        Image.fromarray(seen.astype(np.uint8) * 255).resize(new, Image.Resampling.BILINEAR)
    )
    core = _without_rim(field > 127, size * _RIM)
    return FlatPicture(flatten_light(plane, core, size * REACH), core)


def _one_channel(picture: NDArray[np.uint8], channel: str) -> NDArray[np.uint8]:
    if picture.ndim == 2 or picture.shape[2] == 1:
        return picture.reshape(picture.shape[:2])
    if channel == "grey":
        return to_channels(picture, 1)[..., 0]
    return np.ascontiguousarray(picture[..., ("red", "green", "blue").index(channel)])


def _without_rim(inside: NDArray[np.bool_], width: float) -> NDArray[np.bool_]:
    """Return a field without its rim; along the border of the picture there is none."""
    from scipy import ndimage

    if inside.all():
        return inside
    padded = np.pad(inside, 1, mode="edge")
    return np.asarray(ndimage.distance_transform_edt(padded)[1:-1, 1:-1] > width)
