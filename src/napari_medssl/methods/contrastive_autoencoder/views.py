"""Two views of each image of a batch: crops, mirrored, turned a little, in other colours.

Source: the paper does not print its augmentations; these are those of Chen et al., arXiv
2002.05709, without what would change the meaning of a medical image: no blur, hue hardly turned,
crops that keep the aspect. All of it follows from one generator, so a step is made again from its
seed and number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.coloring import Coloring, change_colors


@dataclass(frozen=True, slots=True)
class Sampling:
    """How far views are changed; zero leaves that part out.

    Attributes
    ----------
    crop
        Least part of the area of an image in a view.
    flip_x, flip_y
        Chance that a view is mirrored left to right, top to bottom.
    rotation
        Largest turn of a view in degrees.
    colors
        Changes of brightness and colour.
    """

    crop: float = 0.5
    flip_x: float = 0.5
    flip_y: float = 0.5
    rotation: float = 15.0
    colors: Coloring = Coloring()


def step_generator(seed: int, stage: int, number: int) -> torch.Generator:
    """Return the generator of one step or epoch, on the CPU: resuming needs no other state."""
    words = np.random.SeedSequence([seed, stage, number]).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def draw_batch(count: int, batch: int, seed: int, step: int) -> Tensor:
    """Return the numbers of the images of a step, int64, shape (batch,), none of them twice.

    Each image is drawn once in an epoch of `count // batch` steps, but for those left over.
    """
    if batch > count:
        raise ValueError(f"{batch} of {count} images are wanted; due are as many at most.")
    epoch, place = divmod(step, count // batch)
    order = torch.randperm(count, generator=step_generator(seed, 1, epoch))
    return order[place * batch : (place + 1) * batch]


def make_views(images: Tensor, how: Sampling, generator: torch.Generator) -> Tensor:
    """Return one view of each image, from 0 to 1, shape (B, C, S, S).

    Parameters
    ----------
    images
        uint8, shape (B, C, S, S).
    generator
        On the CPU, so that a run makes the same views on any device.
    """
    theta = _places(len(images), how, generator).to(images.device)
    pixels = images.float() / 255
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    views = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    return change_colors(views.clamp(0, 1), how.colors, generator)


def _places(count: int, how: Sampling, generator: torch.Generator) -> Tensor:
    """Draw where the views lie in their images: maps from -1 to 1 of both, shape (B, 2, 3)."""
    # All are drawn whatever is asked for, so that one setting does not change what another draws.
    draws = torch.rand(6, count, generator=generator)
    side = (how.crop + (1 - how.crop) * draws[0]).sqrt()
    place = (2 * draws[1:3] - 1) * (1 - side)
    angle = math.radians(how.rotation) * (2 * draws[3] - 1)
    along_x, along_y = 1 - 2.0 * (draws[4] < how.flip_x), 1 - 2.0 * (draws[5] < how.flip_y)
    cos, sin = angle.cos() * side, angle.sin() * side
    rows = [
        torch.stack([cos * along_x, -sin * along_y, place[0]], dim=1),
        torch.stack([sin * along_x, cos * along_y, place[1]], dim=1),
    ]
    return torch.stack(rows, dim=1)
