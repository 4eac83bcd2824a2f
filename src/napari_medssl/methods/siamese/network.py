"""The tile encoder: one trunk for both tiles of a pair, and a head to 128 dimensions.

Source: Gildenblat and Klaiman, arXiv 1905.08139: a siamese network, a trunk trained on ImageNet
with its end replaced, 128 dimensions.

We differ: the trunk is EfficientNet-Lite0 (3.4 M weights) for ResNet-50 (24 M), and the head sees
mean and standard deviation of the maps of several stages, standardised: texture is in the middle
of the trunk, and its end knows ImageNet's objects. Embeddings have unit length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
    stages: tuple[int, ...] = (2, 3, 4, 5)


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
        pooled = 2 * sum(STAGE_DIMS[stage] for stage in config.stages)
        self.register_buffer("mean", torch.zeros(pooled))
        self.register_buffer("spread", torch.ones(pooled))
        self.head = nn.Linear(pooled, config.dim, bias=False)

    def pool(self, tiles: Tensor) -> Tensor:
        """Return mean and spread of the maps of each stage, shape (B, P).

        Parameters
        ----------
        tiles
            RGB from 0 to 255, uint8 or float, shape (B, 3, S, S).
        """
        maps, found = self.stem(normalise_pixels(tiles)), []
        for number, stage in enumerate(self.blocks):
            maps = stage(maps)
            if number in self.config.stages:
                flat = maps.flatten(2).float()
                found.append(torch.cat([flat.mean(dim=2), flat.std(dim=2)], dim=1))
        return torch.cat(found, dim=1)

    def project(self, pooled: Tensor) -> Tensor:
        """Return embeddings of unit length, shape (B, D), of pooled values (B, P)."""
        return F.normalize(self.head((pooled - self.mean) / self.spread), dim=1)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return embeddings of unit length, shape (B, D), of RGB tiles (B, 3, S, S), 0 to 255."""
        return self.project(self.pool(tiles))

    @torch.no_grad()
    def start_head(self, pooled: Tensor) -> None:
        """Fit the standardisation, and start the head with the principal axes.

        Parameters
        ----------
        pooled
            Pooled values of many tiles, shape (N, P). With fewer than D the rest of the head stays
            as it was made at random.
        """
        values = pooled.double()
        mean, spread = values.mean(dim=0), values.std(dim=0).clamp(min=_LEAST_SPREAD)
        self.mean.copy_(mean)
        self.spread.copy_(spread)
        _, size, axes = torch.linalg.svd((values - mean) / spread, full_matrices=False)
        count = min(self.config.dim, int((size > size[0] * 1e-6).sum()))
        # Half whitened: axes of more spread still count for more, but do not drown the others.
        scaled = axes[:count] / size[:count, None].sqrt()
        self.head.weight[:count] = (scaled / scaled.norm()).to(self.head.weight)
        self.head.weight[count:] *= 0.1 / self.head.weight.norm()
