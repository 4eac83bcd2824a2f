"""The segmentation network: a U-Net on EfficientNet-Lite0.

Source: the U-Net of Ronneberger et al., arXiv 1505.04597, as MONAI builds its steps up (`UpCat`).
We differ from ACTION, whose 2-D U-Net begins at random: the way down is a trunk that can start
from the weights of ImageNet, since the point is to learn from a few masks, and the way up is thin,
so that a CPU trains it in minutes. Nothing is normalised by a batch: a trained trunk keeps its
statistics, the way up has groups of channels. A few crops, half of them distorted, are no sample of
what the network will see, and with statistics of such batches the teacher saw other images than its
student: mean teacher then fell from a DSC of .77 with masks alone to .11.
"""

from __future__ import annotations

from dataclasses import dataclass

from monai.networks.nets.basic_unet import TwoConv, UpCat
from torch import Tensor, nn

from napari_medssl.methods.action.group_norm import FastGroupNorm
from napari_medssl.methods.siamese.trunk import STAGE_DIMS, EfficientNetLite0, normalise_pixels

STRIDE = 32
"""Sides of images are multiples of this."""

MOST_CLASSES = 32
BOTTLENECK = STAGE_DIMS[6]
"""Channels at the narrowest place."""

DECODER_DIMS = (64, 48, 32, 24, 16)
"""Channels of the five maps on the way up, at strides 16, 8, 4, 2 and 1."""

_SKIPS = (4, 2, 1, 0)  # stages of the trunk at strides 16, 8, 4 and 2
_STEM = 16


@dataclass(frozen=True, slots=True)
class Maps:
    """What the network makes of images.

    Attributes
    ----------
    bottleneck
        Shape (B, 320, H/32, W/32).
    decoder
        The five maps on the way up, from coarse to fine.
    logits
        Scores before softmax in single precision, shape (B, K, H, W).
    """

    bottleneck: Tensor
    decoder: tuple[Tensor, ...]
    logits: Tensor


class SegmentationUNet(nn.Module):
    """Gives each pixel a score of each class; class 0 is the rest.

    Parameters
    ----------
    classes
        How many there are, the rest counted: 2 to 32.

    Raises
    ------
    ValueError
        If `classes` is none of these.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        if not 2 <= classes <= MOST_CLASSES:
            raise ValueError(f"{classes} classes; due are 2 to {MOST_CLASSES}, the rest counted.")
        self.trunk = EfficientNetLite0()
        del self.trunk.top  # it is for whole images
        self.trunk.filter_in_full()
        how = {
            "act": ("LeakyReLU", {"inplace": True}),
            "norm": ("group", {"num_groups": 8}),
            "bias": False,
        }
        # Sides always fit: padding by nothing would be two copies in single precision.
        up = how | {"upsample": "nontrainable", "halves": False, "is_pad": False}
        self.stem = TwoConv(2, 3, _STEM, **how)
        skips = (*(STAGE_DIMS[stage] for stage in _SKIPS), _STEM)
        steps, inside = [], BOTTLENECK
        for skip, out in zip(skips, DECODER_DIMS, strict=True):
            steps.append(UpCat(2, inside, skip, out, **up))
            inside = out
        self.up = nn.ModuleList(steps)
        _normalise_fast(self)
        self.head = nn.Conv2d(inside, classes, 1)
        self.keeps_statistics = False

    def train(self, mode: bool = True) -> SegmentationUNet:
        """Train, or not; the statistics of a trained trunk stay as they are."""
        super().train(mode)
        if self.keeps_statistics:
            self.trunk.train(False)
        return self

    @property
    def classes(self) -> int:
        """How many classes there are, the rest counted."""
        return self.head.out_channels

    def maps(self, images: Tensor, kept: tuple[Tensor, ...] | None = None) -> Maps:
        """Return all that is made of images.

        Parameters
        ----------
        images
            RGB from 0 to 1, shape (B, 3, H, W); sides are multiples of 32.
        kept
            Factors of the channels of the bottleneck and of the five skips, each of shape
            (B, C, 1, 1): perturbed features, see `objective`. None leaves them as they are.

        Raises
        ------
        ValueError
            If the images have other channels or sides.
        """
        if images.ndim != 4 or images.shape[1] != 3 or any(s % STRIDE for s in images.shape[2:]):
            raise ValueError(
                f"Images of {tuple(images.shape)} came; due are (B, 3, H, W) with sides that are "
                f"multiples of {STRIDE}."
            )
        pixels = normalise_pixels(images * 255)
        found, maps = [], self.trunk.stem(pixels)
        for stage in self.trunk.blocks:
            maps = stage(maps)
            found.append(maps)
        skips = [*(found[stage] for stage in _SKIPS), self.stem(pixels)]
        bottleneck = maps
        if kept is not None:
            maps = maps * kept[0]
            skips = [skip * factor for skip, factor in zip(skips, kept[1:], strict=True)]
        decoder = []
        for step, skip in zip(self.up, skips, strict=True):
            maps = step(maps, skip)
            decoder.append(maps)
        return Maps(bottleneck, tuple(decoder), self.head(maps).float())

    def forward(self, images: Tensor) -> Tensor:
        """Return scores before softmax, shape (B, K, H, W); see `maps`."""
        return self.maps(images).logits

    def feature_dims(self) -> tuple[int, ...]:
        """Return the channels of the bottleneck and of the five skips, as `maps` takes factors."""
        return (BOTTLENECK, *(STAGE_DIMS[stage] for stage in _SKIPS), _STEM)

    def start_from(self, trunk: EfficientNetLite0) -> None:
        """Take the weights of a trunk, all but its top."""
        state = {k: v for k, v in trunk.state_dict().items() if not k.startswith("top.")}
        self.trunk.load_state_dict(state)
        self.keeps_statistics = True

    def new_head(self, classes: int) -> None:
        """Give the network a head for other classes, at random."""
        inside = self.head.in_channels
        self.head = nn.Conv2d(inside, classes, 1).to(self.head.weight.device)

    def set_head(self, weights: Tensor, bias: Tensor) -> None:
        """Take the weights of the head, shape (K, 16), and its bias, shape (K,)."""
        state = {"weight": weights[:, :, None, None], "bias": bias}
        self.head.load_state_dict(state)


def _normalise_fast(network: nn.Module) -> None:
    """Put `FastGroupNorm` where MONAI has made `nn.GroupNorm`."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.GroupNorm:
                setattr(parent, name, FastGroupNorm(child.num_groups, child.num_channels))
