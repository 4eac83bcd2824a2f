"""The tile encoder: one trunk for both tiles of a pair, and a head to 128 dimensions.

Source: Gildenblat and Klaiman, arXiv 1905.08139: a siamese network, a trunk trained on ImageNet
with its end replaced, 128 dimensions.

We differ: the trunk is EfficientNet-Lite0 (3.4 M weights) for ResNet-50 (24 M), and the head sees
the means of the maps of several stages, standardised: texture is in the middle of the trunk, and
its end knows ImageNet's objects. Embeddings have unit length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.methods.siamese.closed_form import near_far_head, scatter
from napari_medssl.methods.siamese.trunk import STAGE_DIMS, EfficientNetLite0, normalise_pixels

_LEAST_SPREAD = 1e-3  # of a pooled value: below it is a channel that is always off


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
        maps, found = self.stem(normalise_pixels(tiles)), []
        for number, stage in enumerate(self.blocks):
            maps = stage(maps)
            if number in self.config.stages:
                found.append(maps.float().mean(dim=(2, 3)))
        return torch.cat(found, dim=1)

    def project(self, pooled: Tensor) -> Tensor:
        """Return embeddings of unit length, shape (B, D), of pooled values (B, P)."""
        return F.normalize(self.head((pooled - self.mean) / self.spread), dim=1)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return embeddings of unit length, shape (B, D), of RGB tiles (B, 3, S, S), 0 to 255."""
        return self.project(self.pool(tiles))

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
        mean, spread = values.mean(dim=0), values.std(dim=0).clamp(min=_LEAST_SPREAD)
        self.mean.copy_(mean)
        self.spread.copy_(spread)
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
