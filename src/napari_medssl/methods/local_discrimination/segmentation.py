"""The network of local discrimination with a head that tells classes: for the use of its weights.

Source: the transfer protocol of Chen et al., arXiv 2108.09440: Dice loss, turns up to 30 degrees.

We differ:

- The decoder starts from the weights as well, not the encoder alone, and nothing is frozen.
- Cross-entropy is added to the Dice loss: a class that is missed altogether then has a gradient.
- Crops are mirrored at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.network import (
    LocalDiscriminationNetwork,
    NetworkConfig,
)

_TURN = 30.0  # degrees, the largest
_HEADS = ("embedding_head.", "clustering_head.")


class SegmentationNetwork(nn.Module):
    """Gives each pixel a score of each class; class 0 is the rest.

    Parameters
    ----------
    config
        Shape of the network that the weights are of.
    classes
        Classes, the rest counted.
    """

    def __init__(self, config: NetworkConfig, classes: int) -> None:
        super().__init__()
        whole = LocalDiscriminationNetwork(config)
        head = whole.new_head(classes)
        del whole.embedding_head, whole.clustering_head
        self.trunk, self.head = whole, head
        for module in head.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a trained `LocalDiscriminationNetwork`, all but its two heads."""
        self.trunk.load_state_dict(
            {name: value for name, value in weights.items() if not name.startswith(_HEADS)}
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return scores before softmax, shape (B, K, H, W), of images from 0 to 1, (B, C, H, W)."""
        height, width = images.shape[2:]
        scores: Tensor = self.head(self.trunk.features(images)).float()
        stride = self.trunk.config.stride
        if stride > 1:
            scores = F.interpolate(
                scores, scale_factor=stride, mode="bilinear", align_corners=False
            )
        return scores[..., :height, :width]


def segmentation_loss(scores: Tensor, truth: Tensor) -> Tensor:
    """Return cross-entropy plus 1 - the mean soft Dice coefficient of the classes but the rest.

    Parameters
    ----------
    scores
        Before softmax, shape (B, K, H, W).
    truth
        Class numbers, int64, shape (B, H, W).

    Notes
    -----
    The Dice coefficient of a class is taken over the whole batch, 1 added above and below, so that
    a class that no image shows asks for none of it.
    """
    shares = torch.softmax(scores, dim=1)[:, 1:]
    due = F.one_hot(truth, scores.shape[1]).permute(0, 3, 1, 2)[:, 1:].to(shares)
    both = (shares * due).sum(dim=(0, 2, 3))
    sizes = shares.sum(dim=(0, 2, 3)) + due.sum(dim=(0, 2, 3))
    dice = (2 * both + 1) / (sizes + 1)
    return F.cross_entropy(scores, truth) + 1 - dice.mean()


def draw_crops(
    images: Sequence[Tensor], masks: Sequence[Tensor], size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return a turned, mirrored square of each image, and the same of its mask.

    Parameters
    ----------
    images
        uint8, each of shape (C, H, W).
    masks
        Class numbers, uint8, each of shape (H, W), that of its image.
    size
        Side of a square in pixels.

    Returns
    -------
    tuple
        Images from 0 to 1, shape (B, C, size, size), and classes, int64, shape (B, size, size).
        Beyond its border an image, with its mask, is reflected.
    """
    crops, truths = [], []
    for image, mask in zip(images, masks, strict=True):
        grid = _draw_grid(image.shape[1:], size, generator).to(image.device)
        pixels = image[None].float() / 255
        crops.append(F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False))
        classes = F.grid_sample(
            mask[None, None].float(),
            grid,
            mode="nearest",
            padding_mode="reflection",
            align_corners=False,
        )
        truths.append(classes[:, 0].round().long())
    return torch.cat(crops), torch.cat(truths)


def _draw_grid(shape: torch.Size, size: int, generator: torch.Generator) -> Tensor:
    """Return where the pixels of a drawn square lie, as `grid_sample` counts, (1, S, S, 2)."""
    height, width = shape
    draws = torch.rand(5, generator=generator)
    angle = torch.deg2rad(_TURN * (2 * draws[0] - 1))
    flips = torch.where(draws[1:3] < 0.5, -1.0, 1.0)
    sides = torch.tensor([width, height], dtype=torch.float32)
    middle = sides / 2 + (draws[3:5] - 0.5) * (sides - size).clamp(min=0)
    turn = torch.stack(
        [torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]
    )
    matrix = turn * flips * size / 2  # from -1..1 of the square to pixels of the image
    scaled = torch.cat([2 * matrix / sides[:, None], (2 * middle / sides - 1)[:, None]], dim=1)
    return F.affine_grid(scaled[None], [1, 1, size, size], align_corners=False)
