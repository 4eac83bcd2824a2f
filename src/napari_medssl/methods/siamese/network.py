"""The tile encoder: one trunk for both tiles of a pair, and a head to 128 dimensions.

Source: Gildenblat and Klaiman, arXiv 1905.08139: a siamese network, a trunk trained on ImageNet
with its end replaced, 128 dimensions.

We differ: the trunk is EfficientNet-Lite0 (3.4 M weights) for ResNet-50 (24 M), and the head sees
the means of the maps of several stages, standardised: texture is in the middle of the trunk, and
its end knows ImageNet's objects. Embeddings have unit length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.methods.siamese.closed_form import near_far_head, scatter
from napari_medssl.methods.siamese.trunk import STAGE_DIMS, EfficientNetLite0, normalise_pixels

_LEAST_SPREAD = 1e-3  # of a pooled value: below it is a channel that is always off
_LOCAL_STRIDE = 16  # pixels of a tile from one local embedding to the next


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Shape of the network.

    Attributes
    ----------
    dim
        Dimensions of an embedding.
    stages
        Stages of the trunk, counted from 0, whose maps the head sees; none after the last is run.
    """

    dim: int = 128
    stages: tuple[int, ...] = (3, 4, 5, 6)


class SiameseNetwork(nn.Module):
    """Embeds tiles; `forward` is `project` of `pool`."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: NetworkConfig, trunk: EfficientNetLite0 | None = None) -> None:
        super().__init__()
        self.config = config
        whole = EfficientNetLite0() if trunk is None else trunk
        self.stem = whole.stem
        self.blocks = nn.Sequential(*list(whole.blocks)[: max(config.stages) + 1])
        pooled = sum(STAGE_DIMS[stage] for stage in config.stages)
        self.register_buffer("mean", torch.zeros(pooled))
        self.register_buffer("spread", torch.ones(pooled))
        self.head = nn.Linear(pooled, config.dim, bias=False)

    def pool(self, tiles: Tensor) -> Tensor:
        """Return the means of the maps of each stage, shape (B, P).

        Parameters
        ----------
        tiles
            RGB from 0 to 255, uint8 or float, shape (B, 3, S, S).
        """
        return torch.cat([maps.mean(dim=(2, 3)) for maps in self._maps(tiles)], dim=1)

    def _maps(self, tiles: Tensor) -> Iterator[Tensor]:
        """Give the maps that the head sees, float32 (B, C, H, W), stage by stage."""
        maps = self.stem(normalise_pixels(tiles))
        for number, stage in enumerate(self.blocks):
            maps = stage(maps)
            if number in self.config.stages:
                yield maps.float()

    def local(self, tiles: Tensor) -> Tensor:
        """Return what each place of the tiles brings to the embedding, shape (B, D, H, W).

        Pooling and head are linear, so that the mean over places, brought to unit length, is
        `forward`. Places are 16 pixels apart; coarser maps are interpolated between theirs.

        Parameters
        ----------
        tiles
            RGB from 0 to 255, uint8 or float, shape (B, 3, S, S).
        """
        size = -(-tiles.shape[-2] // _LOCAL_STRIDE), -(-tiles.shape[-1] // _LOCAL_STRIDE)
        columns = [STAGE_DIMS[stage] for stage in sorted(self.config.stages)]
        parts = torch.split(self.head.weight / self.spread, columns, dim=1)
        means = torch.split(self.mean, columns)
        total = torch.zeros((), device=tiles.device)
        for maps, part, mean in zip(self._maps(tiles), parts, means, strict=True):
            brought = torch.einsum("bchw,dc->bdhw", maps - mean[:, None, None], part)
            total = total + _resized(brought, size)
        return total

    def project(self, pooled: Tensor) -> Tensor:
        """Return embeddings of unit length, shape (B, D), of pooled values (B, P)."""
        return F.normalize(self.head((pooled - self.mean) / self.spread), dim=1)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return embeddings of unit length, shape (B, D), of RGB tiles (B, 3, S, S), 0 to 255."""
        return self.project(self.pool(tiles))

    @torch.no_grad()
    def standardise(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Fit the mean and the spread that pooled values are standardised with, and return them.

        Parameters
        ----------
        pooled
            Of many tiles, shape (N, P).

        Returns
        -------
        Both of shape (P,), in double precision, on the CPU.
        """
        values = pooled.double().cpu()
        mean, spread = values.mean(dim=0), values.std(dim=0).clamp(min=_LEAST_SPREAD)
        self.mean.copy_(mean)
        self.spread.copy_(spread)
        return mean, spread

    @torch.no_grad()
    def start_head(
        self, pooled: Tensor, near: Sequence[tuple[Tensor, float]], shrinkage: float = 0.1
    ) -> None:
        """Fit the standardisation and, in closed form, the head; see `closed_form`.

        Parameters
        ----------
        pooled
            Pooled values of many tiles, shape (N, P).
        near
            Differences of pooled values of near pairs, shape (M, P), and how much they count; of
            several kinds.
        shrinkage
            As in `closed_form.near_far_head`.

        Notes
        -----
        With few tiles there are fewer directions than D; the rest of the head stays nearly nothing.
        """
        values = pooled.double().cpu()
        mean, spread = self.standardise(pooled)
        kinds = (weight * scatter((d.double().cpu() / spread).numpy()) for d, weight in near)
        rows = torch.from_numpy(
            near_far_head(
                ((values - mean) / spread).numpy(),
                sum(kinds, np.zeros(())),
                self.config.dim,
                shrinkage,
            ).copy()
        )
        # Of a size that suits the optimizer; lengths of embeddings are taken out anyway.
        self.head.weight[: len(rows)] = (rows / rows.norm()).to(self.head.weight)
        self.head.weight[len(rows) :] *= 1e-3 / self.head.weight.norm()


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps (B, D, H, W) at another size, with the same means."""
    if maps.shape[-2:] == size:
        return maps
    if maps.shape[-1] > size[-1]:
        made = F.adaptive_avg_pool2d(maps, size)
    else:
        made = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    # Where sides do not divide, the means would move a little.
    drift = maps.mean(dim=(2, 3), keepdim=True) - made.mean(dim=(2, 3), keepdim=True)
    return made + drift
