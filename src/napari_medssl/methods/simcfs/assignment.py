"""Which cells answer for which panel while training: task-aligned assignment.

Source: Feng et al. 2021 (TOOD, arXiv 2108.07755), for one class: cells inside a panel are ranked by
score^alpha * IoU^beta, the best `top` of them learn its box, and their score learns the box's
quality.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_medssl.methods.simcfs.losses import box_iou


@dataclass(frozen=True)
class Assignment:
    """For one image: `panel` (N,), the panel of each cell or -1, and `quality` (N,) in [0, 1]."""

    panel: Tensor
    quality: Tensor


@torch.no_grad()
def assign(
    scores: Tensor,
    boxes: Tensor,
    cells: Tensor,
    targets: Tensor,
    *,
    top: int = 10,
    alpha: float = 0.5,
    beta: float = 6.0,
) -> Assignment:
    """Assign cells to the panels of one image.

    Parameters
    ----------
    scores
        Scores in [0, 1], shape (N,).
    boxes
        Predicted boxes, shape (N, 4).
    cells
        `(x, y, stride)`, shape (N, 3).
    targets
        Panel boxes, shape (M, 4), M may be zero.
    """
    count = cells.shape[0]
    if targets.shape[0] == 0:
        return Assignment(
            torch.full((count,), -1, device=cells.device), torch.zeros(count, device=cells.device)
        )
    inside = _inside(cells, targets)  # (M, N)
    iou = box_iou(boxes[None], targets[:, None]) * inside  # (M, N)
    metric = scores[None].pow(alpha) * iou.pow(beta)
    value, index = metric.topk(min(top, count), dim=1)
    chosen = torch.zeros_like(metric, dtype=torch.bool)
    chosen.scatter_(1, index, value > 1e-12)
    best = iou.masked_fill(~chosen, -1).argmax(
        dim=0
    )  # a cell inside two panels learns the closer box
    panel = torch.where(chosen.any(dim=0), best, torch.full_like(best, -1))
    metric = (
        metric * torch.nn.functional.one_hot(panel.clamp(min=0), targets.shape[0]).T * (panel >= 0)
    )
    iou = iou * (metric > 0)
    scale = iou.amax(dim=1, keepdim=True) / (metric.amax(dim=1, keepdim=True) + 1e-12)
    return Assignment(panel, (metric * scale).amax(dim=0).clamp(0, 1))


def _inside(cells: Tensor, targets: Tensor) -> Tensor:
    """Cells whose centre lies in a panel; a panel smaller than a cell keeps its nearest cell."""
    x, y = cells[:, 0], cells[:, 1]
    offset = torch.stack(
        (x - targets[:, :1], y - targets[:, 1:2], targets[:, 2:3] - x, targets[:, 3:4] - y), dim=-1
    )
    inside = offset.amin(dim=-1) > 0
    alone = ~inside.any(dim=1)
    if alone.any():
        centre = (targets[:, :2] + targets[:, 2:]) / 2
        distance = (cells[None, :, :2] - centre[:, None]).pow(2).sum(dim=-1)
        inside[alone, distance[alone].argmin(dim=1)] = True
    return inside
