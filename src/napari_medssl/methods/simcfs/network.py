"""The panel detector's network: a small one-class YOLO, three heads at strides 8, 16 and 32.

Source: SimCFS-DET is YOLOv5 with one class. We differ: no anchors (each cell predicts a
distribution over the distances to the four sides, Li et al. 2020, arXiv 2006.04388), because
panels have no typical shape, and a quarter of the channels, because one class of rectangles needs
no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the network; part of every checkpoint."""

    width: int = 32
    depth: int = 2
    bins: int = 24

    def __post_init__(self) -> None:
        if self.width < 8 or self.width % 8:
            raise ValueError(f"width {self.width!r} is not a multiple of 8 that is at least 8.")


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation, SiLU."""

    def __init__(self, cin: int, cout: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(cout, eps=1e-3, momentum=0.03),
            nn.SiLU(inplace=True),
        )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBlock(channels, channels, 1), ConvBlock(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to a map of the same height and width."""
        out: Tensor = x + self.body(x)
        return out


class CrossStage(nn.Module):
    """Cross-stage partial block: half of the channels pass through residual blocks."""

    def __init__(self, cin: int, cout: int, depth: int) -> None:
        super().__init__()
        half = cout // 2
        self.left = nn.Sequential(ConvBlock(cin, half, 1), *(_Residual(half) for _ in range(depth)))
        self.right = ConvBlock(cin, half, 1)
        self.join = ConvBlock(2 * half, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to a map of the same height and width."""
        out: Tensor = self.join(torch.cat((self.left(x), self.right(x)), dim=1))
        return out


class _Pyramid(nn.Module):
    """Spatial pyramid pooling: the deepest cells see the whole figure."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.enter = ConvBlock(channels, half, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.leave = ConvBlock(5 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to a map of the same height and width."""
        x = self.enter(x)
        a = self.pool(x)
        b = self.pool(a)
        c = self.pool(b)
        whole = x.mean(dim=(2, 3), keepdim=True).expand_as(x)
        out: Tensor = self.leave(torch.cat((x, a, b, c, whole), dim=1))
        return out


class _Head(nn.Module):
    def __init__(self, cin: int, bins: int) -> None:
        super().__init__()
        self.box = nn.Sequential(
            ConvBlock(cin, cin), ConvBlock(cin, cin), nn.Conv2d(cin, 4 * bins, 1)
        )
        self.score = nn.Sequential(ConvBlock(cin, cin), nn.Conv2d(cin, 1, 1))
        final = self.score[-1]
        assert isinstance(final, nn.Conv2d)
        assert final.bias is not None
        nn.init.constant_(final.bias, -4.6)  # panels are rare among cells: start at a score of 0.01

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return score logits (B, 1, H, W) and side logits (B, 4 * bins, H, W)."""
        return self.score(x), self.box(x)


class PanelNetwork(nn.Module):
    """Map figures (B, 3, H, W) in [0, 1], sides multiples of 32, to a score and a box per cell."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or NetworkConfig()
        w, n = self.config.width, self.config.depth
        self.stem = nn.Sequential(
            ConvBlock(3, w, 3, 2), ConvBlock(w, 2 * w, 3, 2), CrossStage(2 * w, 2 * w, 1)
        )
        self.stage3 = nn.Sequential(ConvBlock(2 * w, 3 * w, 3, 2), CrossStage(3 * w, 3 * w, n))
        self.stage4 = nn.Sequential(ConvBlock(3 * w, 5 * w, 3, 2), CrossStage(5 * w, 5 * w, n))
        self.stage5 = nn.Sequential(
            ConvBlock(5 * w, 8 * w, 3, 2), CrossStage(8 * w, 8 * w, n), _Pyramid(8 * w)
        )
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.top4 = CrossStage(13 * w, 4 * w, 1)
        self.top3 = CrossStage(7 * w, 3 * w, 1)
        self.down4 = ConvBlock(3 * w, 3 * w, 3, 2)
        self.bottom4 = CrossStage(7 * w, 4 * w, 1)
        self.down5 = ConvBlock(4 * w, 4 * w, 3, 2)
        self.bottom5 = CrossStage(12 * w, 6 * w, 1)
        self.heads = nn.ModuleList(_Head(c * w, self.config.bins) for c in (3, 4, 6))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return score logits (B, N), box-side logits (B, N, 4, bins) and cells (N, 3).

        Cells are `(x, y, stride)`: centre in pixels of the input, and the stride of their head.
        """
        x3 = self.stage3(self.stem(x))
        x4 = self.stage4(x3)
        x5 = self.stage5(x4)
        t4 = self.top4(torch.cat((self.up(x5), x4), dim=1))
        t3 = self.top3(torch.cat((self.up(t4), x3), dim=1))
        b4 = self.bottom4(torch.cat((self.down4(t3), t4), dim=1))
        b5 = self.bottom5(torch.cat((self.down5(b4), x5), dim=1))
        scores, sides, cells = [], [], []
        for head, level, stride in zip(self.heads, (t3, b4, b5), STRIDES, strict=True):
            score, side = head(level)
            batch, _, height, width = score.shape
            scores.append(score.reshape(batch, -1))
            sides.append(
                side.reshape(batch, 4, self.config.bins, height * width).permute(0, 3, 1, 2)
            )
            cells.append(_cells(height, width, stride, x.device))
        return torch.cat(scores, 1).float(), torch.cat(sides, 1).float(), torch.cat(cells)


def _cells(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    centres = (torch.stack((x, y), dim=-1).reshape(-1, 2) + 0.5) * stride
    return torch.cat((centres, torch.full_like(centres[:, :1], stride)), dim=1)


def boxes_of(sides: Tensor, cells: Tensor) -> Tensor:
    """Return boxes (B, N, 4) `x0, y0, x1, y1` in pixels from side logits (B, N, 4, bins).

    The distance to a side is the mean of its distribution, in strides of the cell.
    """
    bins = torch.arange(sides.shape[-1], device=sides.device, dtype=sides.dtype)
    distance = (sides.softmax(dim=-1) @ bins) * cells[:, 2:3]  # (B, N, 4)
    centre = cells[:, :2]
    return torch.cat((centre - distance[..., :2], centre + distance[..., 2:]), dim=-1)
