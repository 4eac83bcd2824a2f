"""Training step and inference of the panel detector (SimCFS-DET).

The loss is `score + box + distribution + side`, the published one with a distribution over box
sides added; the side loss can be off, in grid cells (published) or in panel sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_medssl.methods.simcfs import losses
from napari_medssl.methods.simcfs.assignment import assign
from napari_medssl.methods.simcfs.network import PanelNetwork, boxes_of


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts; `side_unit` is "off", "cell" (published) or "panel"."""

    box: float = 7.5
    distribution: float = 1.5
    score: float = 0.5
    side: float = 0.375  # 1/20 of the box weight, the released code's ratio
    side_unit: str = "cell"


def detection_loss(
    network: PanelNetwork, images: Tensor, targets: list[Tensor], weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and its parts by name.

    Parameters
    ----------
    images
        Shape (B, 3, H, W), in [0, 1].
    targets
        For each image its panel boxes in pixels of `images`, shape (M, 4).
    """
    if weights.side_unit not in {"off", "cell", "panel"}:
        raise ValueError(f"side_unit {weights.side_unit!r} is none of 'off', 'cell', 'panel'.")
    logits, sides, cells = network(images)
    boxes = boxes_of(sides, cells)
    scores = logits.detach().sigmoid()
    qualities, parts = [], []
    for i, target in enumerate(targets):
        given = assign(scores[i], boxes[i].detach(), cells, target)
        qualities.append(given.quality)
        on = given.panel >= 0
        if on.any():
            parts.append(
                (boxes[i][on], target[given.panel[on]], sides[i][on], cells[on], given.quality[on])
            )
    quality = torch.stack(qualities)
    total = quality.sum().clamp(min=1.0)
    score = losses.score_loss(logits, quality) / total
    zero = logits.new_zeros(())
    box = distribution = side = zero
    if parts:
        predicted, true, side_logits, at, share = (torch.cat(p) for p in zip(*parts, strict=True))
        box = (losses.complete_iou_loss(predicted, true) * share).sum() / total
        centre, stride = at[:, :2], at[:, 2:3]
        distance = torch.cat((centre - true[:, :2], true[:, 2:] - centre), dim=1) / stride
        distribution = (losses.side_distribution_loss(side_logits, distance) * share).sum() / total
        if weights.side_unit != "off":
            unit = (
                stride if weights.side_unit == "cell" else (true[:, 2:] - true[:, :2]).clamp(min=1)
            )
            side = losses.side_loss(predicted, true, unit).mean()
    loss = (
        weights.score * score
        + weights.box * box
        + weights.distribution * distribution
        + weights.side * side
    )
    values = {"loss": loss, "score": score, "box": box, "distribution": distribution, "side": side}
    return loss, {name: float(value.detach()) for name, value in values.items()}


@torch.inference_mode()
def propose(
    network: PanelNetwork, image: Tensor, *, score: float = 0.01, most: int = 600
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (N, 4) in pixels and scores (N,) of one image (3, H, W), best first.

    Overlapping boxes are all kept: `resolve` chooses among them.
    """
    logits, sides, cells = network(image[None])
    scores = logits[0].sigmoid()
    keep = scores > score
    scores, order = scores[keep].sort(descending=True)
    order = order[:most]
    boxes = boxes_of(sides[:, keep][:, order], cells[keep][order])[0]
    return boxes.cpu().numpy(), scores[:most].cpu().numpy()
