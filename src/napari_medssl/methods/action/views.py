"""What a step looks at: squares of images, changed lightly for the teacher, more for the student.

Source: ACTION, arXiv 2206.02307, whose best pair is a weak view for the teacher and a strong one
for the student. A weak view is mirrored, turned and zoomed; the strong one has the same places, so
that pixels answer to pixels, in other colours and now and then blurred. Mixing of images is in
`supervision`.

We differ: where global distillation is asked alone, both views have places of their own, and a
strong view may be a negative. All of it follows from one generator on the CPU, so a step is made
again from its seed and number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.coloring import Coloring, change_colors

IGNORED = 255
"""Class of pixels that nobody painted."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How views are made.

    Attributes
    ----------
    size
        Side of a view in pixels, a multiple of 32.
    zoom
        Least and largest factor by which an image is enlarged.
    turn
        Largest turn in degrees.
    flip_x, flip_y
        Chance that a view is mirrored left to right, top to bottom.
    colors
        Changes of colour of a strong view.
    colored
        Chance that a strong view has other colours.
    blurred
        Chance that it is blurred.
    inverted
        Chance that it is the negative: light on dark for dark on light.
    """

    size: int = 192
    zoom: tuple[float, float] = (0.8, 1.25)
    turn: float = 20.0
    flip_x: float = 0.5
    flip_y: float = 0.5
    colors: Coloring = Coloring(0.4, 0.4, 0.4, 0.05, 0.1)
    colored: float = 0.8
    blurred: float = 0.3
    inverted: float = 0.0


def weak_views(
    images: Sequence[Tensor], how: Sampling, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return a square of each image, from 0 to 1, (B, 3, S, S), and its places.

    Parameters
    ----------
    images
        uint8, each of shape (3, H, W), of any size.

    Returns
    -------
    tuple
        Views, and places as `grid_sample` takes them, (B, S, S, 2): see `same_places`. Beyond its
        border an image is reflected.
    """
    grids = [_draw_grid(image.shape[1:], how, generator) for image in images]
    views = [
        F.grid_sample(
            image[None].float() / 255,
            grid.to(image.device),
            padding_mode="reflection",
            align_corners=False,
        )
        for image, grid in zip(images, grids, strict=True)
    ]
    return torch.cat(views).clamp(0, 1), torch.cat(grids)


def same_places(classes: Sequence[Tensor], places: Tensor) -> Tensor:
    """Return the classes at the places of views, int64, shape (B, S, S).

    Parameters
    ----------
    classes
        Of each image, uint8, shape (H, W).
    """
    found = [
        F.grid_sample(
            one[None, None].float(),
            place[None].to(one.device),
            mode="nearest",
            padding_mode="reflection",
            align_corners=False,
        )
        for one, place in zip(classes, places, strict=True)
    ]
    return torch.cat(found)[:, 0].round().long()


def strong_views(views: Tensor, how: Sampling, generator: torch.Generator) -> Tensor:
    """Return weak views in other colours, some of them blurred or negative, of the same shape."""
    draws = torch.rand(3, len(views), generator=generator)
    changed = change_colors(views, how.colors, generator)
    is_colored = (draws[0] < how.colored).to(views.device)[:, None, None, None]
    found = torch.where(is_colored, changed, views)
    if how.inverted:  # not drawn in vain: other trainings stay as they were
        is_inverted = torch.rand(len(views), generator=generator) < how.inverted
        found = torch.where(is_inverted.to(views.device)[:, None, None, None], 1 - found, found)
    # Up to a hundredth of the side: more takes away what small classes are known by.
    sigmas = draws[2] * how.size / 100 * (draws[1] < how.blurred)
    return torch.stack(
        [_blurred(view, float(sigma)) for view, sigma in zip(found, sigmas, strict=True)]
    )


def _blurred(view: Tensor, sigma: float) -> Tensor:
    if sigma < 0.2:
        return view
    reach = max(1, round(3 * sigma))
    line = torch.arange(-reach, reach + 1, dtype=torch.float32, device=view.device)
    bell = torch.exp(-(line**2) / (2 * sigma**2))
    bell = (bell / bell.sum()).to(view.dtype).expand(len(view), 1, 1, -1)
    padded = F.pad(view[None], [reach] * 4, mode="reflect")
    across = F.conv2d(padded, bell, groups=len(view))
    return F.conv2d(across, bell.transpose(2, 3), groups=len(view))[0]


def _draw_grid(shape: Sequence[int], how: Sampling, generator: torch.Generator) -> Tensor:
    """Return where the pixels of a drawn square lie, as `grid_sample` counts, (1, S, S, 2)."""
    height, width = shape
    # All are drawn whatever is asked for, so that one setting does not change what another draws.
    draws = torch.rand(6, generator=generator)
    low, high = how.zoom
    side = how.size / (low * (high / low) ** float(draws[5]))
    angle = torch.deg2rad(how.turn * (2 * draws[0] - 1))
    flips = 1 - 2.0 * (draws[1:3] < torch.tensor([how.flip_x, how.flip_y]))
    sides = torch.tensor([width, height], dtype=torch.float32)
    middle = sides / 2 + (draws[3:5] - 0.5) * (sides - side).clamp(min=0)
    turn = torch.stack(
        [torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]
    )
    matrix = turn * flips * side / 2  # from -1..1 of the square to pixels of the image
    scaled = torch.cat([2 * matrix / sides[:, None], (2 * middle / sides - 1)[:, None]], dim=1)
    return F.affine_grid(scaled[None], [1, 1, how.size, how.size], align_corners=False)
