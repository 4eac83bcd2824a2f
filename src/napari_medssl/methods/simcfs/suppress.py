"""Overlap of boxes and non-maximum suppression, in numpy."""

from __future__ import annotations

import numpy as np


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the area shared by each box of `a` (N, 4) and each of `b` (M, 4), shape (N, M)."""
    corner0 = np.maximum(a[:, None, :2], b[None, :, :2])
    corner1 = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.clip(corner1 - corner0, 0, None).prod(axis=-1))


def pairwise_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each box of `a` and each of `b`, shape (N, M)."""
    inter = intersection(a, b)
    area_a = np.clip(a[:, 2:] - a[:, :2], 0, None).prod(axis=1)
    area_b = np.clip(b[:, 2:] - b[:, :2], 0, None).prod(axis=1)
    return np.asarray(inter / (area_a[:, None] + area_b[None] - inter + 1e-9))


def suppress(boxes: np.ndarray, scores: np.ndarray, *, overlap: float = 0.6) -> np.ndarray:
    """Return the indices that survive non-maximum suppression, best score first."""
    order = np.argsort(-scores, kind="stable")
    keep: list[int] = []
    while order.size:
        first, rest = order[0], order[1:]
        keep.append(int(first))
        order = rest[pairwise_iou(boxes[first : first + 1], boxes[rest])[0] < overlap]
    return np.array(keep, int)
