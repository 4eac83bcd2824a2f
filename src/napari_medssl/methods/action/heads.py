"""What is asked of the maps besides classes: vectors of images, of crops and of pixels.

Source: ACTION, arXiv 2206.02307: a projector on the averaged bottleneck, with one predictor more
on the student's side; a head on crops of the output; a representation of each pixel from all five
maps of the decoder, 3x3 and then 1x1 convolutions.

We differ: every head has an activation between its layers (those of the released code are linear);
heads normalise layers, not batches, so that the teacher, which sees no batch of its own, is of one
mind with the student; the representation is made at a quarter of the sides, in 128 dimensions
rather than 512, for at full size it would cost twenty times what the network does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.methods.action.network import BOTTLENECK, DECODER_DIMS, Maps

DIM = 128
"""Dimensions of every vector."""

PIXEL_STRIDE = 4
"""Pixels of an image to one of the representation, along a side."""

_WIDE = 256
_LOCAL = 4  # channels of a crop's maps after its head


def mlp(inside: int, out: int = DIM) -> nn.Sequential:
    """Return two layers with an activation between."""
    return nn.Sequential(
        nn.Linear(inside, _WIDE), nn.LayerNorm(_WIDE), nn.ReLU(inplace=True), nn.Linear(_WIDE, out)
    )


class GlobalHead(nn.Module):
    """A vector of each image: of the bottleneck averaged over places."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = mlp(BOTTLENECK)

    def forward(self, maps: Maps) -> Tensor:
        """Return vectors, shape (B, 128)."""
        found: Tensor = self.layers(maps.bottleneck.float().mean(dim=(2, 3)))
        return found


class LocalHead(nn.Module):
    """A vector of each crop of the output: 1x1 convolutions, then all places in a row.

    Parameters
    ----------
    classes
        Channels of the output.
    pooled
        Side of a crop's maps.
    """

    def __init__(self, classes: int, pooled: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(classes, 4 * _LOCAL, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * _LOCAL, _LOCAL, 1),
        )
        self.dim = _LOCAL * pooled * pooled

    def forward(self, crops: Tensor) -> Tensor:
        """Return vectors, shape (B, P, D), of crops (B, P, K, pooled, pooled)."""
        found: Tensor = self.layers(crops.flatten(0, 1))
        return found.flatten(1).view(*crops.shape[:2], self.dim)


class RepresentationHead(nn.Module):
    """A vector of each pixel at a quarter of the sides, from all maps of the decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(sum(DECODER_DIMS), DIM, 3, padding=1),
            nn.GroupNorm(8, DIM),
            nn.ReLU(inplace=True),
            nn.Conv2d(DIM, DIM, 1),
        )

    def forward(self, maps: Maps) -> Tensor:
        """Return vectors in single precision, shape (B, 128, H/4, W/4)."""
        height, width = maps.logits.shape[2:]
        size = (height // PIXEL_STRIDE, width // PIXEL_STRIDE)
        scaled = [_at_size(one, size) for one in maps.decoder]
        found: Tensor = self.layers(torch.cat(scaled, dim=1))
        return found.float()


def _at_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if maps.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(maps, size)
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
