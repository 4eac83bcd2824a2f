"""EfficientNet-Lite0: the trunk of the tile encoder.

Source: Tan and Le, EfficientNet, ICML 2019 (arXiv 1905.11946), table 1, in the "lite" form of its
authors: no squeeze-and-excitation, ReLU6 for swish. Padding is TensorFlow's "same", which puts the
odd pixel at the right and bottom, as the published ImageNet weights need it.

We differ: no classifier, and the maps of every stage can be had (`stages`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TRUNK_DIM = 1280
STAGE_DIMS = (16, 24, 40, 80, 112, 192, 320)
"""Channels of the maps after each stage."""

# Blocks, kernel, stride, growth, channels out of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: the output has `ceil(side / stride)` pixels."""

    filters_in_full = False

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps, shape (B, C', H', W')."""
        if self.filters_in_full and maps.device.type == "cpu" and torch.is_grad_enabled():
            with torch.autocast("cpu", enabled=False):
                return self._filtered(maps.float()).to(maps.dtype)
        return self._filtered(maps)

    def _filtered(self, maps: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for side in (maps.shape[-1], maps.shape[-2]):
            total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            pads += [total // 2, total - total // 2]
        if pads[0] == pads[1] and pads[2] == pads[3]:
            # The convolution's own padding is faster than a copy with a border.
            return F.conv2d(
                maps, self.weight, None, self.stride, (pads[2], pads[0]), 1, self.groups
            )
        return F.conv2d(F.pad(maps, pads), self.weight, None, self.stride, 0, 1, self.groups)


def _conv(
    inside: int, out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, acts: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        _SameConv(inside, out, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if acts else nn.Sequential(*layers)


class _InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; the input is added where shapes allow."""

    def __init__(self, inside: int, out: int, *, kernel: int, stride: int, growth: int) -> None:
        super().__init__()
        wide = inside * growth
        widen = [_conv(inside, wide)] if growth > 1 else []
        depthwise = _conv(wide, wide, kernel, stride=stride, groups=wide)
        self.layers = nn.Sequential(*widen, depthwise, _conv(wide, out, acts=False))
        self.adds = stride == 1 and inside == out

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps, shape (B, C', H', W')."""
        out: Tensor = self.layers(maps)
        return maps + out if self.adds else out


class EfficientNetLite0(nn.Module):
    """The trunk: 3.4 million weights, 1280 channels out, strides of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 32, 3, stride=2)
        stages, inside = [], 32
        for blocks, kernel, stride, growth, out in _STAGES:
            stage = []
            for block in range(blocks):
                step = stride if block == 0 else 1
                stage.append(
                    _InvertedResidual(inside, out, kernel=kernel, stride=step, growth=growth)
                )
                inside = out
            stages.append(nn.Sequential(*stage))
        self.blocks = nn.Sequential(*stages)
        self.top = _conv(inside, TRUNK_DIM)

    def follow_batches(self, momentum: float = 0.1) -> None:
        """Let the running statistics follow batches faster than ImageNet's training did.

        That moved them by a hundredth in a step, which is too slow for trainings of a few hundred.
        """
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum

    def filter_in_full(self) -> None:
        """Filter each channel in single precision where a CPU learns in a mixed one.

        Torch learns such filters four to nine times slower in bfloat16 there.
        """
        for module in self.modules():
            if isinstance(module, _SameConv):
                module.filters_in_full = module.groups > 1

    def stages(self, pixels: Tensor) -> list[Tensor]:
        """Return the maps after each of the seven stages, then those of the top.

        Parameters
        ----------
        pixels
            Shape (B, 3, H, W), values as `normalise_pixels` gives them.
        """
        maps, found = self.stem(pixels), []
        for stage in self.blocks:
            maps = stage(maps)
            found.append(maps)
        return [*found, self.top(maps)]

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the mean of the top maps, shape (B, 1280), of pixels (B, 3, H, W)."""
        top: Tensor = self.top(self.blocks(self.stem(pixels)))
        return top.mean(dim=(2, 3))


def normalise_pixels(pixels: Tensor) -> Tensor:
    """Return uint8 or 0 to 255 RGB (B, 3, H, W) as the trunk wants it: -1 to 1."""
    return pixels.to(torch.float32) / 127.5 - 1
