"""Labelled and unlabelled images as a training of ACTION takes them: scaled, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl.backend.sizing import resize_short_side, to_channels

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.backend.transfer_data import LabelledImage

_SEEN = 16.0  # pixels along a side of an object that is to be seen well
_SPECK = 0.01  # of the shorter side: a class of no wider objects may be the rim of another one
_MOST = 4  # times the side of a crop: larger images are scaled down to it


@dataclass(frozen=True)
class ActionImages:
    """Images of one training; pixels uint8, (3, H, W), classes uint8, (H, W), on the CPU.

    Attributes
    ----------
    labelled
        Images with their classes; 255 is not painted.
    unlabelled
        All images that are looked at without masks, the labelled ones among them.
    """

    labelled: tuple[tuple[Tensor, Tensor], ...]
    unlabelled: tuple[Tensor, ...]


def prepare(
    labelled: Sequence[LabelledImage], unlabelled: Sequence[NDArray[np.uint8]], short_side: int
) -> ActionImages:
    """Return images scaled so that their shorter side has `short_side` pixels."""
    pairs = tuple(
        (as_planes(image.pixels, short_side), _as_classes(image.classes, short_side))
        for image in labelled
    )
    others = tuple(as_planes(pixels, short_side) for pixels in unlabelled)
    return ActionImages(pairs, tuple(pixels for pixels, _ in pairs) + others)


def as_planes(pixels: NDArray[np.uint8], short_side: int) -> Tensor:
    """Return an image as RGB planes, uint8, (3, H, W), its shorter side scaled."""
    import torch

    # Pillow knows no grey with an axis of its own.
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    scaled = to_channels(resize_short_side(flat, short_side), 3)
    return torch.from_numpy(np.array(np.moveaxis(scaled, 2, 0), order="C"))


def _as_classes(classes: NDArray[np.uint8], short_side: int) -> Tensor:
    """Return classes scaled as `resize_short_side` scales their image."""
    import torch

    height, width = classes.shape
    scale = short_side / min(height, width)
    sides = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    scaled = Image.fromarray(classes).resize(sides, Image.Resampling.NEAREST)
    return torch.from_numpy(np.array(scaled))


def short_side_for(labelled: Sequence[LabelledImage], size: int) -> int:
    """Return the shorter side at which crops of `size` show most of an image and its objects well.

    The smallest scale at which the objects of the smallest class are still 16 pixels wide, but
    never more than the images have, and never less than a crop. The width of a class is that of the
    object in which the middle one of its pixels lies: specks hardly count. A class of specks alone
    counts only if there is no other: where masks were scaled, others may have such a rim.
    """
    widths: dict[int, list[float]] = {}
    for image in labelled:
        for number in np.unique(image.classes):
            if number not in (0, 255):
                mask = image.classes == number
                widths.setdefault(int(number), []).extend(_widths(mask) / min(mask.shape))
    middles = [_middle(np.sort(found)) for found in widths.values()]
    if not middles:
        return size
    smallest = min((each for each in middles if each > _SPECK), default=min(middles))
    sides = [min(image.classes.shape) for image in labelled]
    return int(max(size, min(_SEEN / smallest, float(np.median(sides)), _MOST * size)))


def _widths(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the side of a square as large as each object of a mask, in pixels."""
    from scipy import ndimage

    pieces, _ = ndimage.label(mask)
    return np.asarray(np.sqrt(np.bincount(pieces.ravel())[1:]))


def _middle(widths: NDArray[np.float64]) -> float:
    """Return the width up to which half of the area of objects lies; they are sorted."""
    areas = np.cumsum(widths**2)
    return float(widths[np.searchsorted(areas, areas[-1] / 2)])
