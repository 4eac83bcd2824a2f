"""Change brightness and colours of views: what an embedding must not mind.

Source: Chen et al., arXiv 2108.09440: brightness, contrast and saturation by up to 0.4, hue by up
to 0.02, grey with a chance of 0.2. We differ: a fixed order, and hue is turned in YIQ, which is one
linear map; grey images change in brightness and contrast alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (Rec. 601)."""

_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True, slots=True)
class Coloring:
    """How far colours are changed; zero leaves that part out.

    Attributes
    ----------
    brightness, contrast, saturation
        Largest relative change.
    hue
        Largest turn of the hue, in whole turns.
    grey
        Chance that a view loses its colours.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.02
    grey: float = 0.2


def change_colors(views: Tensor, how: Coloring, generator: torch.Generator) -> Tensor:
    """Return changed views, each in its own way.

    Parameters
    ----------
    views
        From 0 to 1, shape (N, C, S, S), grey or RGB.
    generator
        On the CPU, so that a run gives the same views on any device.
    """
    count, channels = views.shape[:2]
    draws = torch.rand(5, count, generator=generator)  # as many whatever is asked for

    def factor(row: int, amount: float) -> Tensor:
        return (1 + amount * (2 * draws[row] - 1)).to(views.device)[:, None, None, None]

    changed = (views * factor(0, how.brightness)).clamp(0, 1)
    middle = luminance(changed).mean(dim=(1, 2, 3), keepdim=True)
    changed = (middle + (changed - middle) * factor(1, how.contrast)).clamp(0, 1)
    if channels == 1:
        return changed
    grey = luminance(changed)
    changed = (grey + (changed - grey) * factor(2, how.saturation)).clamp(0, 1)
    changed = _turn_hue(changed, how.hue * (2 * draws[3] - 1))
    loses = (draws[4] < how.grey).to(views.device)[:, None, None, None]
    return luminance(changed).expand_as(changed).where(loses, changed)


def luminance(views: Tensor) -> Tensor:
    """Return views (N, 1 or 3, S, S) as grey, shape (N, 1, S, S)."""
    if views.shape[1] == 1:
        return views
    weights = torch.tensor(LUMINANCE, device=views.device)[None, :, None, None]
    return (views * weights).sum(dim=1, keepdim=True)


def _turn_hue(views: Tensor, turns: Tensor) -> Tensor:
    """Return RGB views with the hue of each turned by so many whole turns, shape (N,)."""
    to_yiq = torch.tensor(_TO_YIQ, dtype=torch.float64)
    angle = 2 * torch.pi * turns.double()
    cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = [
        torch.stack([none + 1, none, none], dim=1),
        torch.stack([none, cos, -sin], dim=1),
        torch.stack([none, sin, cos], dim=1),
    ]
    matrix = torch.linalg.inv(to_yiq) @ torch.stack(rows, dim=1) @ to_yiq  # (N, 3, 3)
    changed = torch.einsum("noc,nchw->nohw", matrix.float().to(views.device), views)
    return changed.clamp(0, 1)
