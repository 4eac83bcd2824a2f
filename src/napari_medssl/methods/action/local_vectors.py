"""Crops of a decoder's maps, each averaged to a small map, for local distillation.

Source: You et al., ACTION, arXiv 2206.02307, stage ii; sizes are those of the released code: crops
of 64 pixels, 32 apart, averaged to 8 x 8.

We differ: a crop is of one image and holds its own channels, and the crops reach all four borders:
where the stride does not end at the last row or column, one more crop does. The released code mixes
images and channels when it joins its crops, and leaves out the last position.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CROP = 64
STRIDE = 32
POOLED = 8


def crop_starts(length: int, crop: int = CROP, stride: int = STRIDE) -> tuple[int, ...]:
    """Return where crops begin along one axis: always at 0, and so that one ends at the end.

    Parameters
    ----------
    length
        Of the axis in pixels; an axis shorter than a crop has one crop, all of it.
    crop, stride
        Length of a crop, and the largest distance between the beginnings of two.
    """
    if min(length, crop, stride) < 1:
        raise ValueError(
            f"Crops of {crop!r} every {stride!r} of {length!r} pixels came; due is 1 at least."
        )
    last = max(0, length - crop)
    return (*range(0, last, stride), last)


def local_maps(
    maps: Tensor, crop: int = CROP, stride: int = STRIDE, pooled: int = POOLED
) -> Tensor:
    """Return the crops of each image, row by row, averaged, shape (B, P, C, pooled, pooled).

    Parameters
    ----------
    maps
        Of the decoder, shape (B, C, H, W).
    crop, stride
        As in `crop_starts`, of both axes.
    pooled
        Side of what a crop is averaged to.
    """
    if maps.ndim != 4:
        raise ValueError(f"Maps of {tuple(maps.shape)} came; due is (B, C, H, W).")
    rows = crop_starts(maps.shape[2], crop, stride)
    columns = crop_starts(maps.shape[3], crop, stride)
    cut = [maps[:, :, y : y + crop, x : x + crop] for y in rows for x in columns]
    # Stacked behind the batch axis: to reshape from crops first would mix the images.
    return torch.stack([F.adaptive_avg_pool2d(each, pooled) for each in cut], dim=1)
