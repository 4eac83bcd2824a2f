"""Square pieces of images and shapes, turned, mirrored and scaled at random.

Our own; views of local discrimination come from `views`, which keeps pairs of them together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_TRIES = 8


def draw_piece(
    planes: Tensor, size: int, scale: float, generator: torch.Generator, *, reflect: bool = False
) -> Tensor:
    """Return a square piece from anywhere in some planes, shape (C, S, S).

    Parameters
    ----------
    planes
        Shape (C, H, W), of any type.
    size
        Its side in pixels, S.
    scale
        Pixels of the piece to one of the planes.
    generator
        On the CPU.
    reflect
        Whether planes go on beyond their border as in a mirror; else 0 is there.
    """
    channels, height, width = planes.shape
    draws = torch.rand(4, generator=generator, dtype=torch.float64)
    half = size / 2 / scale
    sides = torch.tensor([width, height], dtype=torch.float64)
    middle = half + draws[:2] * (sides - 2 * half).clamp(min=0)
    middle = torch.where(sides > 2 * half, middle, sides / 2)
    angle = 2 * math.pi * float(draws[2])
    flip = -1.0 if draws[3] < 0.5 else 1.0
    turn = torch.tensor(
        [[math.cos(angle) * flip, -math.sin(angle)], [math.sin(angle) * flip, math.cos(angle)]],
        dtype=torch.float64,
    )
    # Only what the piece can show is looked at: planes are large and may be of half precision.
    reach = math.ceil(1.5 * half) + 2
    left, top = (max(0, int(place) - reach) for place in middle.tolist())
    part = planes[:, top : top + 2 * reach + 2, left : left + 2 * reach + 2].float()
    sides = torch.tensor([part.shape[2], part.shape[1]], dtype=torch.float64)
    middle = middle - torch.tensor([left, top], dtype=torch.float64)
    theta = torch.cat([2 * half * turn / sides[:, None], (2 * middle / sides - 1)[:, None]], dim=1)
    grid = F.affine_grid(theta.float()[None], [1, channels, size, size], align_corners=False)
    mode = "reflection" if reflect else "zeros"
    piece = F.grid_sample(
        part[None], grid.to(planes.device), padding_mode=mode, align_corners=False
    )
    return piece[0]


def draw_shapes(
    shapes: Sequence[Tensor],
    count: int,
    size: int,
    scales: tuple[float, float],
    generator: torch.Generator,
    *,
    least: float = 0.02,
) -> Tensor:
    """Return pieces of shapes with their widths in pixels of the piece, shape (N, 3, S, S).

    Parameters
    ----------
    shapes
        Planes as `render` takes them, each (3, H, W).
    scales
        Least and largest scale; their logarithm is drawn evenly.
    least
        Part of a piece that the shape is to cover; a few tries are made to get there.
    """
    low, high = (math.log(scale) for scale in scales)
    found = []
    for _ in range(count):
        for _ in range(_TRIES):
            number = int(torch.randint(len(shapes), (1,), generator=generator))
            scale = math.exp(low + (high - low) * float(torch.rand(1, generator=generator)))
            piece = draw_piece(shapes[number], size, scale, generator)
            if float(piece[0].mean()) >= least:
                break
        found.append(piece * piece.new_tensor([1.0, scale, 1.0])[:, None, None])
    return torch.stack(found)


def draw_backgrounds(
    images: Sequence[Tensor], count: int, size: int, generator: torch.Generator
) -> Tensor:
    """Return pieces of images, from 0 to 1, shape (N, C, S, S); some of them without their detail.

    Parameters
    ----------
    images
        Each uint8, shape (C, H, W), without the shapes.
    """
    found = []
    for _ in range(count):
        number = int(torch.randint(len(images), (1,), generator=generator))
        draws = torch.rand(2, generator=generator)
        scale = 1 + 0.4 * float(draws[0])
        piece = draw_piece(images[number], size, scale, generator, reflect=True) / 255
        if draws[1] < 0.4:  # what is left of faint shapes goes with the detail
            piece = F.avg_pool2d(piece, 9, 1, padding=4, count_include_pad=False)
        found.append(piece)
    return torch.stack(found)
