"""Draw shapes of another modality into images of this one: pictures whose truth is known.

Our own addition to Chen et al., arXiv 2108.09440, which steers a region by a discriminator alone.
That tells what the regions look like, never where they lie in an image: here the shapes are drawn
as dark (or light) tubes on backgrounds made of unlabelled images, and the region is to be found
again. Nothing of the images is known but what they look like; nothing is paired.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Rendering:
    """How shapes are drawn. Contrasts are parts of the range of grey, from 0 to 1.

    Attributes
    ----------
    contrast
        Least and largest contrast of the widest tubes.
    narrow
        Least and largest width, in pixels, at which a tube has 63 % of that contrast.
    reflex
        Largest part of the contrast that the light line in the middle of a wide tube takes away.
    blur
        Least and largest standard deviation of the blur, in pixels.
    noise
        Largest standard deviation of the noise.
    halo
        Reach in pixels of the flattening that images have gone through, which draws a halo around
        whatever stands out; 0 for none.
    is_dark
        Whether the shapes are darker than their surroundings.
    """

    contrast: tuple[float, float] = (0.3, 1.0)
    narrow: tuple[float, float] = (1.5, 6.0)
    reflex: float = 0.7
    blur: tuple[float, float] = (0.5, 1.6)
    noise: float = 0.07
    halo: float = 30.0
    is_dark: bool = True


def render(
    backgrounds: Tensor, shapes: Tensor, how: Rendering, generator: torch.Generator
) -> Tensor:
    """Return images, from 0 to 1, shape (N, C, S, S), in which the shapes are drawn.

    Parameters
    ----------
    backgrounds
        Pieces of images without such shapes, from 0 to 1, shape (N, C, S, S).
    shapes
        Shape (N, 3, S, S): what belongs to the shape, from 0 to 1; the width of its branch there in
        pixels; how deep in the branch a pixel lies, from 0 at the border to 1 in the middle.
    generator
        On the CPU, so that a run draws the same on any device.
    """
    count, side = len(shapes), shapes.shape[-1]
    inside, width, depth = (shapes[:, k : k + 1].clamp(min=0) for k in range(3))

    def draw(low: float, high: float) -> Tensor:
        drawn = torch.rand(count, 1, 1, 1, generator=generator)
        return (low + (high - low) * drawn).to(shapes)

    def field(cells: int) -> Tensor:
        return smooth_noise(count, side, cells, generator).to(shapes)

    reach = draw(*how.contrast) * (1 - torch.exp(-width / draw(*how.narrow)))
    reach = reach * torch.exp(0.35 * field(6))
    # Nearly flat across, so that the border of the shape is where half of the contrast is.
    tube = (1 - (1 - depth.clamp(max=1)).square()).clamp(min=0.05) ** 0.25
    # Arteries shine in the middle, veins hardly: which is which changes over the field.
    shine = torch.sigmoid(3 * field(4)) * how.reflex * ((width - 4) / 4).clamp(0, 1)
    tube = tube - shine * torch.exp(-(((1 - depth) / 0.3).square()))
    drawn = _blurred(inside * tube * reach, float(draw(*how.blur)[0]))
    if how.halo:
        drawn = drawn - 0.8 * _wide_mean(drawn, how.halo)
    grain = torch.randn(count, 1, side, side, generator=generator).to(shapes)
    coarse = F.interpolate(grain[..., ::2, ::2], size=(side, side), mode="bilinear")
    noise = (grain + draw(0, 2) * coarse) * draw(0, how.noise) * 0.7
    mottle = draw(0, 0.06) * field(6) + draw(0, 0.04) * field(16)
    sign = -1.0 if how.is_dark else 1.0
    return (backgrounds + sign * drawn + noise + mottle).clamp(0, 1)


def smooth_noise(count: int, side: int, cells: int, generator: torch.Generator) -> Tensor:
    """Return smooth random fields of about mean 0 and spread 1, shape (N, 1, S, S).

    Parameters
    ----------
    cells
        Hills and dales along a side.
    """
    coarse = torch.randn(count, 1, cells + 2, cells + 2, generator=generator)
    size = -(-side * (cells + 2) // cells)
    return F.interpolate(coarse, size=(size, size), mode="bicubic")[..., :side, :side] * 1.4


def _blurred(maps: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    place = torch.arange(-reach, reach + 1, device=maps.device).to(maps)
    bell = torch.exp(-place.square() / (2 * sigma**2))
    bell = bell / bell.sum()
    across = F.conv2d(maps, bell.view(1, 1, 1, -1), padding=(0, reach))
    return F.conv2d(across, bell.view(1, 1, -1, 1), padding=(reach, 0))


def _wide_mean(maps: Tensor, reach: float) -> Tensor:
    """Return the mean around each pixel, on a coarse grid: it changes slowly."""
    step = max(1, round(reach / 2))
    side = maps.shape[-1]
    coarse = F.avg_pool2d(maps, step, ceil_mode=True, count_include_pad=False)
    mean = F.avg_pool2d(coarse, 3, 1, padding=1, count_include_pad=False)
    return F.interpolate(mean, size=(side, side), mode="bilinear")
