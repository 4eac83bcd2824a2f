"""Boxes moved to the best supported line nearby, judged by the evidence of the whole figure.

A gutter is told from the plain rim of a picture by where it ends: a gutter goes on beyond the
corners of a panel, a rim stops at the sides of its picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_medssl.methods.simcfs.evidence import LineEvidence

_LOW, _HIGH = -1, 1


@dataclass(frozen=True)
class SnapConfig:
    """Weights of the evidence for one edge; all were chosen once, on round numbers."""

    gap: int = 16  # blank lines outside beyond which more do not count, in pixels
    dirt: float = 0.004  # share of an edge's length that may be noise
    blank_weight: float = 1.0
    step_weight: float = 0.6
    distance_weight: float = 0.3
    border_step: float = 0.5  # step that the image border counts as
    least: float = 0.1  # an edge with less evidence than this stays where it is


_DEFAULT = SnapConfig()


def snap_box(
    evidence: LineEvidence | np.ndarray,
    box: Sequence[float],
    tolerance: float | tuple[float, float],
    config: SnapConfig = _DEFAULT,
) -> tuple[int, int, int, int]:
    """Return `box` with each edge moved to the best supported line within `tolerance` pixels.

    Parameters
    ----------
    evidence
        `LineEvidence.of(image)`, or the image itself (Y, X, 3) where it is snapped once.
    box
        `(x0, y0, x1, y1)` in pixels, half open.
    tolerance
        Farthest move of an edge in pixels; a pair is (along x, along y).
    """
    known = evidence if isinstance(evidence, LineEvidence) else LineEvidence.of(evidence)
    tolerances = np.broadcast_to(np.asarray(tolerance, dtype=float), (2,))[None]
    x0, y0, x1, y1 = _snap(known, np.asarray(box, dtype=float)[None], tolerances, config)[0]
    return int(x0), int(y0), int(x1), int(y1)


def snap_boxes(
    evidence: LineEvidence,
    boxes: np.ndarray,
    share: float = 0.08,
    config: SnapConfig = _DEFAULT,
) -> np.ndarray:
    """Return boxes (N, 4) snapped, each edge by at most `share` of its box's width or height.

    About twice the usual error of an edge is best: 0.05 for errors of 2 %, 0.1 for 6 %.
    The result is int, clamped to the image, in the same order.
    """
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    tolerances = np.maximum(share * (boxes[:, 2:] - boxes[:, :2]), 2.0)  # (N, 2)
    return _snap(evidence, boxes, tolerances, config)


def edge_support(
    evidence: LineEvidence, boxes: np.ndarray, config: SnapConfig = _DEFAULT
) -> np.ndarray:
    """Return how well the four edges of each box are supported, shape (N, 4), about 0 to 1.6.

    The order is left, top, right, bottom. 0: the edge lies within ink or within blank canvas.
    """
    current = _clamped(evidence, np.asarray(boxes, dtype=float).reshape(-1, 4))
    support = np.zeros(current.shape)
    still = np.zeros((len(current), 2), int)
    for edge in range(4 if len(current) else 0):
        score, _ = _judge(evidence, current, edge, still, still, None, config)
        support[:, edge] = score[:, score.shape[1] // 2]
    return support


def _clamped(evidence: LineEvidence, boxes: np.ndarray) -> np.ndarray:
    """Return boxes rounded to pixels, inside the image, at least one pixel wide."""
    size = np.array([evidence.width, evidence.height])
    low = np.clip(np.rint(boxes[:, :2]), 0, size - 1)
    high = np.clip(np.rint(boxes[:, 2:]), low + 1, size)
    return np.hstack([low, high]).astype(int)


def _snap(
    evidence: LineEvidence, boxes: np.ndarray, tolerances: np.ndarray, config: SnapConfig
) -> np.ndarray:
    """Snap twice: how far a strip reaches to the sides is known once the sides are."""
    current = _clamped(evidence, boxes)
    if not len(current):
        return current
    sides = _snap_rounds(evidence, current, tolerances, None, config)
    return _snap_rounds(evidence, current, tolerances, sides, config)


def _snap_rounds(
    evidence: LineEvidence,
    start: np.ndarray,
    tolerances: np.ndarray,
    sides: np.ndarray | None,
    config: SnapConfig,
) -> np.ndarray:
    """Snap in two rounds: first judged by the middle of each edge, then by the whole edge.

    The ends of an edge are as uncertain as its neighbours: the first round leaves them out.
    `sides`, shape (N, 4), are the boxes as snapped before, see `_ends_at_sides`.
    """
    current = start
    for shrink, reach in ((0.5, 1.0), (0.0, 0.5)):
        margin = np.minimum(shrink * tolerances, 0.3 * (current[:, 2:] - current[:, :2]))
        moved = current.copy()
        for edge in range(4):
            moved[:, edge] = _best_lines(
                evidence, current, edge, reach * tolerances, margin.astype(int), sides, config
            )
        limit = np.ceil(np.hstack([tolerances, tolerances])).astype(int)
        moved = np.clip(moved, start - limit, start + limit)
        keep = moved[:, 2:] - moved[:, :2] < 2  # edges that met: this direction stays
        moved = np.where(np.hstack([keep, keep]), current, moved)
        current = moved
    return current


def _best_lines(
    evidence: LineEvidence,
    boxes: np.ndarray,
    edge: int,
    reach: np.ndarray,
    margin: np.ndarray,
    sides: np.ndarray | None,
    config: SnapConfig,
) -> np.ndarray:
    """Return for one edge (0..3: left, top, right, bottom) of each box its best line, (N,)."""
    score, lines = _judge(evidence, boxes, edge, reach, margin, sides, config)
    limit = np.maximum(np.floor(reach[:, edge % 2]), 1.0)[:, None]
    distance = np.abs(lines - boxes[:, edge][:, None])
    score = score - config.distance_weight * distance / limit
    score[distance > limit] = -np.inf
    best = np.argmax(score, axis=1)
    rows = np.arange(len(boxes))
    found: np.ndarray = np.where(
        score[rows, best] >= config.least, lines[rows, best], boxes[:, edge]
    )
    return found


def _judge(
    evidence: LineEvidence,
    boxes: np.ndarray,
    edge: int,
    reach: np.ndarray,
    margin: np.ndarray,
    sides: np.ndarray | None,
    config: SnapConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the support of the lines around one edge of each box, and their coordinates.

    Both have shape (N, L); the middle column is the edge itself. Lines run from outside to
    inside, so that one rule serves both sides.
    """
    axis, side = edge % 2, _LOW if edge < 2 else _HIGH
    other = 1 - axis
    low = (boxes[:, other] + margin[:, other])[:, None]
    high = (boxes[:, other + 2] - margin[:, other])[:, None]
    half = int(np.max(reach[:, axis])) + config.gap + 1
    lines = boxes[:, edge][:, None] - side * np.arange(-half, half + 1)[None]  # (N, L)
    length = evidence.length(axis)
    exists = (lines >= 0) & (lines <= length)
    steps = evidence.step_share(axis, np.clip(lines, 0, length), low, high) * exists
    outside = lines - (1 if side == _LOW else 0)  # the column just outside each line
    in_image = (outside >= 0) & (outside < length)
    changes = evidence.change_share(axis, np.clip(outside, 0, length - 1), low, high)
    blank = ~in_image | (changes <= config.dirt)
    if sides is not None:
        blank &= ~(in_image & _ends_at_sides(evidence, sides, axis, outside))
    is_step = steps > config.dirt
    gap = np.minimum(_blank_run(blank, is_step), config.gap) / config.gap
    inked_inside = np.zeros_like(blank)
    inked_inside[:, :-1] = ~blank[:, 1:]
    border = ((lines == 0) | (lines == length)) & inked_inside
    steps = np.where(border, config.border_step, steps)
    has_ink = (is_step | inked_inside) & exists
    # a faint first column (thin strokes, text) proves less than a long step
    proof = 0.3 + 0.7 * np.minimum(steps / 0.05, 1.0)
    return config.blank_weight * gap * has_ink * proof + config.step_weight * steps, lines


def _ends_at_sides(
    evidence: LineEvidence, sides: np.ndarray, axis: int, columns: np.ndarray
) -> np.ndarray:
    """Return which columns (or rows) have a step where they leave the box on both sides, (N, L).

    A gutter goes on beyond the corners of a panel. A blank strip that ends there on both sides is
    the plain rim of a picture (a dark margin, an empty bit of a slide) that touches others.
    """
    other = 1 - axis
    length = evidence.length(other)
    at = np.clip(columns, 0, evidence.length(axis) - 1)
    ends = np.ones(columns.shape, bool)
    for side in (other, other + 2):
        is_end = np.zeros(columns.shape, bool)
        for shift in (-1, 0, 1):
            lines = np.clip(sides[:, side] + shift, 0, length)[:, None]
            is_end |= evidence.step_share(other, lines, at, at + 1) > 0
        ends &= is_end
    return ends


def _blank_run(blank: np.ndarray, is_step: np.ndarray) -> np.ndarray:
    """Return how many blank columns without a step between them end at each line, (N, L).

    Column `k` of `blank` lies just outside line `k`, so line `k - 1` is on its outer side.
    """
    index = np.arange(blank.shape[1])[None]
    begins = np.ones_like(blank)
    begins[:, 1:] = ~blank[:, :-1] | is_step[:, :-1]
    start = np.maximum.accumulate(np.where(begins, index, 0), axis=1)
    run: np.ndarray = np.where(blank, index - start + 1, 0)
    return run
