"""The network of local discrimination: an embedding and a soft region of every pixel.

Source: Chen et al., arXiv 2108.09440: VGG-16 with batch normalisation at a quarter of its width,
a decoder as of U-Net, and two heads: embeddings of unit length, and a sigmoid that is normalised
over the regions.

We differ: the finest maps may be at half or a quarter of the resolution (`stride`), for speed on a
CPU; heads have one 3 x 3 convolution of their own; images of any size are reflected at their right
and lower border up to a multiple of 16.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

MULTIPLE = 16
"""Sides that the encoder takes are multiples of this."""

REACH = 160
"""Pixels beyond which an output does not see, rounded up to a multiple of `MULTIPLE`."""

_CONVOLUTIONS = (2, 2, 3, 3, 3)  # of VGG-16, at strides 1, 2, 4, 8, 16
_GROWTH = (1, 2, 4, 8, 8)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Shape of the network; part of every model card.

    Attributes
    ----------
    channels
        Channels of an image: 1 for grey, 3 for RGB.
    width
        Channels of the first convolution; VGG-16 has 64.
    dim
        Dimensions of an embedding, D.
    clusters
        Regions, K.
    stride
        Pixels of the image to one of the maps, along a side: 1 as published, 2 or 4.
    """

    channels: int = 1
    width: int = 16
    dim: int = 32
    clusters: int = 16
    stride: int = 1

    def __post_init__(self) -> None:
        if self.channels not in (1, 3) or self.stride not in (1, 2, 4):
            raise ValueError(
                f"{self.channels!r} channels at stride {self.stride!r}; due are 1 or 3 channels "
                "and stride 1, 2 or 4."
            )
        if min(self.width, self.dim, self.clusters) < 1:
            raise ValueError(f"{self} has a width, dim or clusters of less than 1.")


class PixelMaps(NamedTuple):
    """What the network says of each pixel, float32, at the network's stride s.

    Attributes
    ----------
    embeddings
        Of unit length, shape (B, D, H/s, W/s), sides rounded up.
    assignments
        Shares of the regions, which add up to 1, shape (B, K, H/s, W/s).
    """

    embeddings: Tensor
    assignments: Tensor


class _Block(nn.Sequential):
    """Some 3 x 3 convolutions, each with batch normalisation and ReLU."""

    def __init__(self, inside: int, out: int, count: int) -> None:
        layers: list[nn.Module] = []
        for number in range(count):
            layers += [
                nn.Conv2d(inside if number == 0 else out, out, 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class LocalDiscriminationNetwork(nn.Module):
    """Gives each pixel an embedding and its shares of the regions."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or NetworkConfig()
        widths = [self.config.width * growth for growth in _GROWTH]
        inputs = [self.config.channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            _Block(inside, out, count)
            for inside, out, count in zip(inputs, widths, _CONVOLUTIONS, strict=True)
        )
        self.decoder = nn.ModuleList()
        below = widths[-1]
        for scale in (3, 2, 1):  # strides 8, 4 and 2
            if 2**scale >= self.config.stride:
                out = max(widths[scale] // 2, 2 * self.config.width)
                self.decoder.append(_Block(below + widths[scale], out, 2))
                below = out
        if self.config.stride == 1:
            below += widths[0]
        self._below = below
        self.embedding_head = self.new_head(self.config.dim)
        self.clustering_head = self.new_head(self.config.clusters)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def new_head(self, out: int) -> nn.Sequential:
        """Return a head that makes `out` maps of `features`, not yet trained."""
        middle = 2 * self.config.width
        return nn.Sequential(_Block(self._below, middle, 1), nn.Conv2d(middle, out, 1))

    def forward(self, images: Tensor) -> PixelMaps:
        """Return embeddings and assignments.

        Parameters
        ----------
        images
            From 0 to 1, shape (B, C, H, W), of any size.
        """
        return self.heads(self.features(images), images.shape[2:])

    def heads(self, features: Tensor, size: tuple[int, ...]) -> PixelMaps:
        """Return embeddings and assignments of `features` of images of this (height, width)."""
        embeddings, assignments = self.embed(features), self.assign(features)
        height, width = map_size(size, self.config.stride)
        return PixelMaps(embeddings[..., :height, :width], assignments[..., :height, :width])

    def embedding_map(self, images: Tensor) -> Tensor:
        """Return the embeddings of `forward` alone, which is faster."""
        height, width = map_size(images.shape[2:], self.config.stride)
        return self.embed(self.features(images))[..., :height, :width]

    def features(self, images: Tensor) -> Tensor:
        """Return what both heads see, of the reflected images."""
        maps, skips = reflect_to_multiple(images), []
        for number, block in enumerate(self.encoder):
            maps = block(F.max_pool2d(maps, 2) if number else maps)
            skips.append(maps)
        for block, skip in zip(self.decoder, reversed(skips[:-1]), strict=False):
            maps = block(torch.cat([_doubled(maps), skip], dim=1))
        if self.config.stride == 1:
            maps = torch.cat([_doubled(maps), skips[0]], dim=1)
        return maps

    def embed(self, features: Tensor) -> Tensor:
        """Return embeddings of unit length, in full precision, of `features`."""
        return F.normalize(self.embedding_head(features).float(), dim=1)

    def assign(self, features: Tensor) -> Tensor:
        """Return shares of the regions, in full precision, of `features`."""
        shares = torch.sigmoid(self.clustering_head(features).float())
        return F.normalize(shares, p=1, dim=1)


def folded(network: LocalDiscriminationNetwork) -> LocalDiscriminationNetwork:
    """Return a copy for evaluation, its normalisation folded into the convolutions: faster."""
    copied = copy.deepcopy(network).eval()
    for block in [module for module in copied.modules() if isinstance(module, _Block)]:
        layers = list(block)
        for number, (layer, after) in enumerate(pairwise(layers)):
            if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                block[number] = fuse_conv_bn_eval(layer, after)
                block[number + 1] = nn.Identity()
    return copied


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


def map_size(size: tuple[int, ...], stride: int) -> tuple[int, int]:
    """Return (height, width) of the maps of an image of this (height, width)."""
    return -(-size[0] // stride), -(-size[1] // stride)


def reflect_to_multiple(images: Tensor, multiple: int = MULTIPLE) -> Tensor:
    """Return images (B, C, H, W) reflected at the right and below up to multiples.

    Reflected as often as it takes: even one pixel will do.
    """
    for axis in (2, 3):
        side = images.shape[axis]
        if side % multiple:
            due = -(-side // multiple) * multiple
            images = images.index_select(axis, _reflected(side, due).to(images.device))
    return images


def _reflected(side: int, due: int) -> Tensor:
    """Return the place of each of `due` pixels in a line of `side` that is reflected."""
    period = max(1, 2 * (side - 1))
    place = torch.arange(due) % period
    return torch.minimum(place, period - place)
