"""What one training step looks at: two views of each of two images, and a mixture of them.

Source: Chen et al., arXiv 2108.09440: images A and B are flipped, turned and cropped at random; two
views of each follow, turned a little and changed in colour, the second turned by right angles and
flipped besides; a fifth image is l A + (1 - l) B of the first views.

We differ:

- The second view is truly mirrored, along one axis (the released code flips both axes, which is
  half a turn), and embeddings are brought back by the exact map between the views, small turns
  included, rather than to a cell.
- Every image has a geometry of its own, and each view is sampled once from the image itself.
- Crops keep the aspect; beyond the border the image is reflected rather than black.
- Hue is turned in YIQ; colours change in a fixed order.

All of it follows from one generator, so a step is made again from its seed and number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.coloring import Coloring, change_colors


@dataclass(frozen=True, slots=True)
class Sampling:
    """How views are made; the published values, with `size` as crops are.

    Attributes
    ----------
    size
        Side of a view in pixels.
    flip_x, flip_y
        Chance that an image, with both its views, is mirrored left to right, top to bottom.
    rotation
        Largest turn of an image in degrees.
    crop
        Least and largest part of the area of the largest square that a crop takes.
    tilt
        Largest turn of a view of its own, in degrees.
    turns
        Whether the second view is turned by a random multiple of 90 degrees.
    mirror
        Chance that the second view is mirrored along one axis.
    share
        Least and largest part of A in the mixed image.
    colors
        Changes of brightness and colour.
    """

    size: int = 448
    flip_x: float = 0.5
    flip_y: float = 0.5
    rotation: float = 180.0
    crop: tuple[float, float] = (0.9, 1.0)
    tilt: float = 2.0
    turns: bool = True
    mirror: float = 0.5
    share: tuple[float, float] = (0.2, 0.8)
    colors: Coloring = Coloring()


@dataclass(frozen=True, slots=True)
class Views:
    """The views of one step: of images A, then of images B.

    Attributes
    ----------
    first, second
        From 0 to 1, shape (2 B, C, S, S).
    mixed
        Image k is `share[k]` of first view k and the rest of first view B + k, shape (B, C, S, S).
    share
        Shape (B,).
    back
        For each image the 2 x 2 matrix from places in its first view to places in its second, from
        -1 to 1 and (x, y), shape (2 B, 2, 2).
    """

    first: Tensor
    second: Tensor
    mixed: Tensor
    share: Tensor
    back: Tensor


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the views of one image lie: middle (x, y) and two matrices, in pixels of the image."""

    middle: Tensor
    first: Tensor
    second: Tensor


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return the generator of one step, on the CPU: resuming needs no state but the number."""
    words = np.random.SeedSequence([seed, step]).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def draw_images(count: int, wanted: int, generator: torch.Generator) -> list[int]:
    """Return the numbers of `wanted` of `count` images, none of them twice."""
    if wanted > count:
        raise ValueError(f"{wanted} of {count} images are wanted; due are as many at most.")
    return [int(number) for number in torch.randperm(count, generator=generator)[:wanted]]


def make_views(images: Sequence[Tensor], how: Sampling, generator: torch.Generator) -> Views:
    """Return the views of an even number of images: the first half are A, the second half B.

    Parameters
    ----------
    images
        Each uint8, shape (C, H, W), of any size; all on one device.
    generator
        On the CPU, so that a run makes the same views on any device.
    """
    if len(images) < 2 or len(images) % 2:
        raise ValueError(f"{len(images)} images came; due are pairs.")
    places = [_draw_place(tuple(image.shape[1:]), how, generator) for image in images]
    first = torch.stack(
        [_sample(i, p.middle, p.first, how.size) for i, p in zip(images, places, strict=True)]
    )
    second = torch.stack(
        [_sample(i, p.middle, p.second, how.size) for i, p in zip(images, places, strict=True)]
    )
    first = change_colors(first, how.colors, generator)
    second = change_colors(second, how.colors, generator)
    low, high = how.share
    half = len(images) // 2
    share = low + (high - low) * torch.rand(half, generator=generator)
    share = share.to(first.device)
    part = share[:, None, None, None]
    mixed = part * first[:half] + (1 - part) * first[half:]
    back = torch.stack([torch.linalg.solve(p.second, p.first) for p in places])
    return Views(first, second, mixed, share, back.float().to(first.device))


def bring_back(maps: Tensor, back: Tensor) -> Tensor:
    """Return maps of second views as the first views lie; 0 where the second shows nothing.

    Parameters
    ----------
    maps
        Shape (N, D, H, W).
    back
        As in `Views`, shape (N, 2, 2).
    """
    theta = torch.cat([back, torch.zeros_like(back[:, :, :1])], dim=2).to(maps)
    grid = F.affine_grid(theta, list(maps.shape), align_corners=False)
    return F.grid_sample(maps, grid, align_corners=False)


def _draw_place(size: tuple[int, ...], how: Sampling, generator: torch.Generator) -> _Place:
    """Draw where the two views of an image of (height, width) lie."""
    height, width = size
    # All are drawn whatever is asked for, so that one setting does not change what another draws.
    draws = torch.rand(10, generator=generator, dtype=torch.float64)
    low, high = how.crop
    part = low + (high - low) * draws[0]
    half = min(height, width) * part.sqrt() / 2
    room = torch.tensor([width, height], dtype=torch.float64) - 2 * half
    middle = half + draws[1:3] * room
    shared = half * _flip(bool(draws[3] < how.flip_x), bool(draws[4] < how.flip_y))
    angle = how.rotation * (2 * draws[5] - 1)
    tilts = how.tilt * (2 * draws[6:8] - 1)
    quarter = torch.floor(draws[8] * 4) * 90 if how.turns else torch.zeros((), dtype=torch.float64)
    mirror = _flip(bool(draws[9] < how.mirror), False)
    first = _turn(angle + tilts[0]) @ shared
    second = _turn(angle + tilts[1]) @ shared @ _turn(quarter) @ mirror
    return _Place(middle, first, second)


def _flip(along_x: bool, along_y: bool) -> Tensor:
    """Return the matrix that mirrors left to right, top to bottom, both or neither."""
    return torch.diag(torch.tensor([1.0 - 2.0 * along_x, 1.0 - 2.0 * along_y]).double())


def _turn(degrees: Tensor) -> Tensor:
    """Return the matrix of a turn, exact for right angles."""
    radians = torch.deg2rad(degrees)
    cos, sin = torch.cos(radians), torch.sin(radians)
    if float(degrees) % 90 == 0:
        cos, sin = cos.round(), sin.round()
    return torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])


def _sample(image: Tensor, middle: Tensor, matrix: Tensor, size: int) -> Tensor:
    """Return the square (C, S, S), 0 to 1, that `matrix` spans around `middle` in an image."""
    channels, height, width = image.shape
    sides = torch.tensor([width, height], dtype=torch.float64)
    # From pixels to -1 to 1 over the whole image, as `affine_grid` counts.
    scaled = torch.cat([2 * matrix / sides[:, None], (2 * middle / sides - 1)[:, None]], dim=1)
    theta = scaled.float()[None].to(image.device)
    grid = F.affine_grid(theta, [1, channels, size, size], align_corners=False)
    pixels = image[None].float() / 255
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)[0]
