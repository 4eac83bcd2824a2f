"""Views of pictures: mirrored, turned, cut out, in another light and another colour."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class ViewRange:
    """How far the drawn views of a picture differ from it.

    Attributes
    ----------
    drawn
        How many are drawn, beside the picture itself and its three mirror images.
    area
        Least part of the picture's area that a drawn view shows.
    turn
        Largest angle, in radians.
    contrast, brightness, tint
        Largest relative change of the contrast about the middle grey, largest change of all
        channels, and of each of them, as parts of half the range of values.
    """

    drawn: int = 8
    area: float = 0.5
    turn: float = 0.5
    contrast: float = 0.3
    brightness: float = 0.2
    tint: float = 0.1

    @property
    def count(self) -> int:
        """Number of views of a picture, V; the first is the picture itself."""
        return 4 + self.drawn


class Views:
    """The views of each of N pictures; they follow from the seed and the picture's number.

    Parameters
    ----------
    count
        Number of pictures, N.
    how
        What is drawn.
    seed
        Of the draws.
    """

    def __init__(self, count: int, how: ViewRange, seed: int = 0) -> None:
        self._how = how
        generator = torch.Generator().manual_seed(seed)
        self._draws = torch.rand(how.drawn, count, 10, generator=generator)

    def make(self, pixels: Tensor, numbers: Tensor, view: int) -> Tensor:
        """Return one view of each picture of a batch, shape (B, C, S, S).

        Parameters
        ----------
        pixels
            From -1 to 1, shape (B, C, S, S), C at most 3.
        numbers
            Of the pictures, below N, int64, shape (B,).
        view
            Below `ViewRange.count`. Beyond its border a picture is reflected.
        """
        if view < 4:
            return pixels.flip([axis for axis, bit in ((3, 1), (2, 2)) if view & bit])
        draws = self._draws[view - 4, numbers]
        return self._lit(self._cut(pixels, draws[:, :5]), draws[:, 5:])

    def _cut(self, pixels: Tensor, draws: Tensor) -> Tensor:
        how = self._how
        side = torch.sqrt(how.area + (1 - how.area) * draws[:, 0])
        angle = how.turn * (2 * draws[:, 1] - 1)
        mirror = torch.where(draws[:, 2] < 0.5, -1.0, 1.0)
        place = (2 * draws[:, 3:5] - 1) * (1 - side)[:, None]
        cos, sin = angle.cos() * side, angle.sin() * side
        rows = [
            torch.stack([cos * mirror, -sin, place[:, 0]], dim=1),
            torch.stack([sin * mirror, cos, place[:, 1]], dim=1),
        ]
        shape = list(pixels.shape)
        grid = F.affine_grid(torch.stack(rows, dim=1), shape, align_corners=False)
        return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)

    def _lit(self, pixels: Tensor, draws: Tensor) -> Tensor:
        how, signed = self._how, 2 * draws - 1
        gain = 1 + how.contrast * signed[:, :1]
        light = how.brightness * signed[:, 1:2] + how.tint * signed[:, 2 : 2 + pixels.shape[1]]
        return (pixels * gain[..., None, None] + light[..., None, None]).clamp(-1, 1)
