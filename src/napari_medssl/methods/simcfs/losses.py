"""Losses of the panel detector: side loss, box overlap, side distribution, score.

Source of the side loss: Yao et al., arXiv 2107.08650 and its released code. We differ: the loss can
also be measured in panel sides instead of grid cells (the released form weighs the same pixel four
times more at stride 8 than at stride 32), and it runs on any device.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def side_loss(predicted: Tensor, target: Tensor, unit: Tensor) -> Tensor:
    """Return the overshoot of each predicted box beyond its target, shape (N,).

    `s = max(0, g.x0-p.x0) + max(0, g.y0-p.y0) + max(0, p.x1-g.x1) + max(0, p.y1-g.y1)`; undershoot
    costs nothing, so a box is pulled just inside its panel.

    Parameters
    ----------
    predicted, target
        Boxes `x0, y0, x1, y1` in pixels, shape (N, 4).
    unit
        What one is: the cell's stride (published form) or the panel's size in pixels, shape (N, 1)
        or (N, 2) for x and y apart.
    """
    unit = unit.expand(-1, 2) if unit.shape[-1] == 1 else unit
    over = torch.cat((target[:, :2] - predicted[:, :2], predicted[:, 2:] - target[:, 2:]), dim=1)
    return (over.clamp(min=0) / torch.cat((unit, unit), dim=1)).sum(dim=1)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of boxes pair by pair; shapes broadcast to (..., 4)."""
    corner0 = torch.maximum(a[..., :2], b[..., :2])
    corner1 = torch.minimum(a[..., 2:], b[..., 2:])
    inter = (corner1 - corner0).clamp(min=0).prod(dim=-1)
    area_a = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(dim=-1)
    area_b = (b[..., 2:] - b[..., :2]).clamp(min=0).prod(dim=-1)
    return inter / (area_a + area_b - inter + 1e-9)


def complete_iou_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return `1 - CIoU` of each pair (Zheng et al. 2020, arXiv 1911.08287), shape (N,)."""
    iou = box_iou(predicted, target)
    hull = torch.maximum(predicted[:, 2:], target[:, 2:]) - torch.minimum(
        predicted[:, :2], target[:, :2]
    )
    diagonal = hull.pow(2).sum(dim=1) + 1e-9
    apart = ((predicted[:, :2] + predicted[:, 2:]) - (target[:, :2] + target[:, 2:])).pow(2).sum(
        dim=1
    ) / 4
    p = (predicted[:, 2:] - predicted[:, :2]).clamp(min=1e-3)
    t = (target[:, 2:] - target[:, :2]).clamp(min=1e-3)
    v = (4 / math.pi**2) * (torch.atan(t[:, 0] / t[:, 1]) - torch.atan(p[:, 0] / p[:, 1])).pow(2)
    with torch.no_grad():
        alpha = v / (1 - iou + v + 1e-9)
    return 1 - iou + apart / diagonal + alpha * v


def side_distribution_loss(logits: Tensor, distance: Tensor) -> Tensor:
    """Return the distribution focal loss of box sides (Li et al. 2020, eq. 6), shape (N,).

    Parameters
    ----------
    logits
        Shape (N, 4, bins).
    distance
        True distances in strides, shape (N, 4); clamped to the last bin.
    """
    bins = logits.shape[-1]
    distance = distance.clamp(0, bins - 1.01)
    low = distance.floor()
    weight = distance - low
    logp = F.log_softmax(logits, dim=-1)
    index = low.long().unsqueeze(-1)
    left = logp.gather(-1, index).squeeze(-1)
    right = logp.gather(-1, index + 1).squeeze(-1)
    return -((1 - weight) * left + weight * right).mean(dim=1)


def score_loss(logits: Tensor, quality: Tensor) -> Tensor:
    """Return the summed binary cross-entropy of scores against the quality of their boxes."""
    return F.binary_cross_entropy_with_logits(logits, quality, reduction="sum")
