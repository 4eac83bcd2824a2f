"""Change tiles as another stain, scanner or position would: what an encoder must not mind.

Stain: Tellez et al., arXiv 1707.06183 and 1902.06543: the optical density is split into
haematoxylin, eosin and a rest with the vectors of Ruifrok and Johnston (2001), each is scaled and
shifted, and the colours are put together again. Besides: the glass is tinted, the scanner's gamma
changed; tiles are turned, mirrored, and zoomed into. Randomness comes from one generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Rows: optical density of red, green and blue for haematoxylin, eosin and DAB (scaled to length 1).
_STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far tiles are changed; zero leaves that part out.

    Attributes
    ----------
    stain
        Largest relative change of the amount of each stain.
    tint
        Largest relative change of the light of each colour channel.
    gamma
        Largest change of the exponent of the grey curve.
    zoom
        Largest part of a tile's side that is cut off.
    turns
        Whether tiles are turned by right angles and mirrored.
    """

    stain: float = 0.35
    tint: float = 0.08
    gamma: float = 0.15
    zoom: float = 0.35
    turns: bool = True


def augment(
    tiles: Tensor, how: Augmentation, generator: torch.Generator, rows: Tensor | None = None
) -> Tensor:
    """Return changed tiles of the same shape, each in its own way.

    Parameters
    ----------
    tiles
        RGB from 0 to 255, shape (B, 3, S, S).
    generator
        On the CPU, so that a run gives the same tiles on any device.
    rows
        Which tiles of a larger batch these are, bool, shape (W,) with B that are true: they are
        changed as they would be among all W. By default they are the whole batch.
    """
    draws = _Draws(len(tiles), generator, rows)
    return _jitter_stain(_zoom_and_turn(tiles.to(torch.float32), how, draws), how, draws)


def jitter_stain(tiles: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Return float tiles (B, 3, S, S), 0 to 255, with other amounts of stain, tint and gamma."""
    return _jitter_stain(tiles, how, _Draws(len(tiles), generator))


def zoom_and_turn(tiles: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Return float tiles (B, 3, S, S): a random square of each, turned and mirrored at random."""
    return _zoom_and_turn(tiles, how, _Draws(len(tiles), generator))


class _Draws:
    """Random numbers for the tiles of a batch, or of a part of it: drawn for all, then chosen."""

    def __init__(self, count: int, generator: torch.Generator, rows: Tensor | None = None) -> None:
        self._rows = torch.ones(count, dtype=torch.bool) if rows is None else rows
        self._generator = generator

    def uniform(self, *shape: int) -> Tensor:
        """Return numbers from 0 to 1, shape (B, *shape)."""
        return torch.rand(len(self._rows), *shape, generator=self._generator)[self._rows]

    def whole(self, below: int) -> Tensor:
        """Return whole numbers from 0, shape (B,)."""
        return torch.randint(below, (len(self._rows),), generator=self._generator)[self._rows]


def _jitter_stain(tiles: Tensor, how: Augmentation, draws: _Draws) -> Tensor:
    def spread(amount: float) -> Tensor:
        return amount * (2 * draws.uniform(3, 1) - 1)

    scale, shift = 1 + spread(how.stain), spread(how.stain) * 0.1
    tint, gamma = 1 + spread(how.tint), 1 + spread(how.gamma)[:, :1]
    stains = F.normalize(torch.tensor(_STAINS, dtype=torch.float64), dim=1)
    to_stains = torch.linalg.inv(stains).to(torch.float32)
    # One linear map of optical densities: split, scale and join.
    joined = torch.einsum("sc,bs,rs->bcr", stains.float(), scale[..., 0], to_stains)
    offset = torch.einsum("sc,bs->bc", stains.float(), shift[..., 0])[..., None]
    device = tiles.device
    density = -torch.log((tiles.flatten(2) + 1) / 256)
    changed = torch.bmm(joined.to(device), density) + offset.to(device)
    light = torch.exp(-changed.clamp(min=0)) * tint.to(device)
    light = light.clamp(1e-4, 1) ** gamma.to(device)
    return (light * 256 - 1).clamp(0, 255).view_as(tiles)


def _zoom_and_turn(tiles: Tensor, how: Augmentation, draws: _Draws) -> Tensor:
    zoom = 1 - how.zoom * draws.uniform()
    place = (2 * draws.uniform(2) - 1) * (1 - zoom)[:, None]
    turn = draws.whole(4) * how.turns
    mirror = 1.0 - 2.0 * (draws.whole(2) * how.turns)
    cos, sin = torch.cos(turn * torch.pi / 2).round(), torch.sin(turn * torch.pi / 2).round()
    rows = [
        torch.stack([zoom * cos * mirror, -zoom * sin, place[:, 0]], dim=1),
        torch.stack([zoom * sin * mirror, zoom * cos, place[:, 1]], dim=1),
    ]
    theta = torch.stack(rows, dim=1).to(tiles.device)
    grid = F.affine_grid(theta, list(tiles.shape), align_corners=False)
    return F.grid_sample(tiles, grid, padding_mode="reflection", align_corners=False)
