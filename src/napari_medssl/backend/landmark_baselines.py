"""What a landmark is found by without learning: baselines beside a model.

Each takes grey pictures and gives places in pixels, as a model does; none of them abstains.

- same place: where the landmark is in the template, in parts of width and height
- raw pixels: the highest normalised cross-correlation of the pixels around it
- registration: phase correlation, then optical flow (TV-L1) from the template to the image
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl.backend.landmark_values import Place
from napari_medssl.backend.sizing import to_channels

Grey = NDArray[np.float32]
Baseline = Callable[[Grey, Mapping[str, Place], Grey], dict[str, Place]]

_NCC_WIDTH = 256
_NCC_WINDOW = 33  # an eighth of the width
_FLOW_WIDTH = 160


def to_grey(picture: NDArray[np.uint8]) -> Grey:
    """Return a picture, (Y, X) or (Y, X, 3), as luminance from 0 to 1, (Y, X)."""
    grey: Grey = to_channels(picture, 1)[..., 0].astype(np.float32) / np.float32(255)
    return grey


def same_place(template: Grey, points: Mapping[str, Place], image: Grey) -> dict[str, Place]:
    """Return the places of the template, moved by nothing but the size of the image."""
    return {
        label: _between(place, _size(template), _size(image)) for label, place in points.items()
    }


def raw_pixels(template: Grey, points: Mapping[str, Place], image: Grey) -> dict[str, Place]:
    """Return where the pixels around each point correlate best, at 256 pixels across."""
    from skimage.feature import match_template

    small, other = _at_width(template, _NCC_WIDTH), _at_width(image, _NCC_WIDTH)
    reach = _NCC_WINDOW // 2
    found = {}
    for label, place in points.items():
        x, y = (round(value) for value in _between(place, _size(template), _size(small)))
        padded = np.pad(small, reach, mode="edge")
        x, y = min(max(x, 0), small.shape[1] - 1), min(max(y, 0), small.shape[0] - 1)
        patch = padded[y : y + _NCC_WINDOW, x : x + _NCC_WINDOW]
        score = match_template(np.pad(other, reach, mode="edge"), patch)
        row, column = np.unravel_index(int(score.argmax()), score.shape)
        found[label] = _between((float(column), float(row)), _size(other), _size(image))
    return found


def registration(template: Grey, points: Mapping[str, Place], image: Grey) -> dict[str, Place]:
    """Return where the optical flow of the whole picture takes each point."""
    from scipy.ndimage import map_coordinates
    from scipy.ndimage import shift as shifted
    from skimage.exposure import equalize_hist
    from skimage.registration import optical_flow_tvl1, phase_cross_correlation

    fixed = equalize_hist(_at_width(template, _FLOW_WIDTH)).astype(np.float32)
    size = fixed.shape[1], fixed.shape[0]
    moving = equalize_hist(np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)))
    # What lies at p of the template lies at p - offset of the image, where that is believable.
    offset = np.asarray(phase_cross_correlation(fixed, moving, normalization=None)[0], float)
    if np.abs(offset / np.array(fixed.shape)).max() > 0.25:
        offset = np.zeros(2)
    laid = shifted(moving, offset, mode="nearest").astype(np.float32)
    flow = optical_flow_tvl1(fixed, laid)  # (row, column) from the template to the image
    found = {}
    for label, place in points.items():
        x, y = _between(place, _size(template), size)
        down, right = (
            float(map_coordinates(plane, [[y], [x]], order=1, mode="nearest")[0]) for plane in flow
        )
        found[label] = _between((x + right - offset[1], y + down - offset[0]), size, _size(image))
    return found


BASELINES: Mapping[str, Baseline] = {
    "same place": same_place,
    "raw pixels (NCC)": raw_pixels,
    "registration (optical flow)": registration,
}


def _size(picture: Grey) -> tuple[int, int]:
    return picture.shape[1], picture.shape[0]


def _between(place: Place, size: tuple[int, int], other: tuple[int, int]) -> Place:
    """Return a place of a picture of `size`, (width, height), in one of another size."""
    x, y = ((at + 0.5) * new / old - 0.5 for at, old, new in zip(place, size, other, strict=True))
    return x, y


def _at_width(picture: Grey, width: int) -> Grey:
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32)
