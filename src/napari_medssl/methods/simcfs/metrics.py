"""Score predicted panel boxes against true ones: F1, COCO average precision, ImageCLEF accuracy.

Papers: COCO evaluation (Lin et al., 2014) and the ImageCLEF 2016 figure-separation task.
We differ: no cap on the number of detections per image, since one figure may hold over 100 panels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

COCO_THRESHOLDS = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2).tolist())
_RECALL_POINTS = np.linspace(0.0, 1.0, 101)
_IMAGECLEF_OVERLAP = 2.0 / 3.0


def _as_boxes(boxes: object) -> np.ndarray:
    """Return boxes as a float array of shape (N, 4), also when there are none."""
    array = np.asarray(boxes, dtype=float)
    if array.size == 0:
        return np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes have shape {array.shape!r}, due is (N, 4): x0, y0, x1, y1 each.")
    return array


@dataclass(frozen=True, eq=False)
class ScoredFigure:
    """True and predicted boxes of one figure.

    Parameters
    ----------
    truth
        True boxes `(x0, y0, x1, y1)`, shape (M, 4).
    predicted
        Predicted boxes, shape (N, 4).
    scores
        Confidence of each prediction, shape (N,); all equal where none is given.
    """

    truth: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", _as_boxes(self.truth))
        object.__setattr__(self, "predicted", _as_boxes(self.predicted))
        scores = np.asarray(self.scores, dtype=float)
        if scores.size == 0:
            scores = np.ones(len(self.predicted))
        if scores.shape != (len(self.predicted),):
            raise ValueError(
                f"{len(self.predicted)} boxes came with scores of shape {scores.shape!r}; "
                "give one score per box."
            )
        object.__setattr__(self, "scores", scores)


@dataclass(frozen=True)
class MatchCounts:
    """Right, surplus and missed boxes of a set of figures at one IoU threshold."""

    right: int
    surplus: int
    missed: int

    @property
    def precision(self) -> float:
        """Share of the predictions that are right; 1 if nothing was due and nothing came."""
        return self._share(self.right + self.surplus)

    @property
    def recall(self) -> float:
        """Share of the true boxes that were found; 1 if nothing was due and nothing came."""
        return self._share(self.right + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 if nothing was due and nothing came."""
        total = 2 * self.right + self.surplus + self.missed
        return 2 * self.right / total if total else 1.0

    def _share(self, whole: int) -> float:
        if whole:
            return self.right / whole
        return 0.0 if self.surplus + self.missed else 1.0


def _overlap_areas(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the areas shared by each pair of boxes, shape (N, M)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])  # (N, M, 2)
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])  # (N, M, 2)
    return np.asarray(np.clip(high - low, 0.0, None).prod(axis=2))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=1))


def intersection_over_union(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the IoU of each box of `first` with each of `second`, shape (N, M).

    Boxes are `(x0, y0, x1, y1)`, shapes (N, 4) and (M, 4); two empty boxes have IoU 0.
    """
    first, second = _as_boxes(first), _as_boxes(second)
    shared = _overlap_areas(first, second)
    union = _areas(first)[:, None] + _areas(second)[None, :] - shared
    result: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result


def match_boxes(figure: ScoredFigure, threshold: float = 0.5) -> np.ndarray:
    """Return for each prediction the index of its true box, or -1, shape (N,).

    As COCO does: predictions choose in order of falling score (equal scores in file order), each
    takes the free true box of the largest IoU not below `threshold` (the last among equals).
    """
    overlap = intersection_over_union(figure.predicted, figure.truth)  # (N, M)
    return _match(overlap, figure.scores, threshold)


def _match(overlap: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    matches = np.full(len(scores), -1)
    free = overlap.copy()
    if not free.size:
        return matches
    last = free.shape[1] - 1
    for index in np.argsort(-scores, kind="stable"):
        best = last - int(np.argmax(free[index, ::-1]))
        if free[index, best] >= min(threshold, 1 - 1e-10):
            matches[index] = best
            free[:, best] = -1.0
    return matches


def count_matches(figures: Sequence[ScoredFigure], threshold: float = 0.5) -> MatchCounts:
    """Return right, surplus and missed boxes summed over `figures` at IoU `threshold`."""
    right = sum(int((match_boxes(figure, threshold) >= 0).sum()) for figure in figures)
    predicted = sum(len(figure.predicted) for figure in figures)
    due = sum(len(figure.truth) for figure in figures)
    return MatchCounts(right=right, surplus=predicted - right, missed=due - right)


def mean_figure_f1(figures: Sequence[ScoredFigure], threshold: float = 0.5) -> float:
    """Return the mean over figures of each figure's own F1; nan without figures."""
    return _mean([count_matches([figure], threshold).f1 for figure in figures])


def average_precision(figures: Sequence[ScoredFigure], threshold: float = 0.5) -> float:
    """Return COCO's average precision of one class at one IoU threshold.

    Precision is made non-increasing from the right and read at 101 recalls (0, 0.01 .. 1);
    recalls that are never reached count 0. Without any true box the value is nan.
    """
    return _interpolate(figures, lambda figure: match_boxes(figure, threshold))


def mean_average_precision(figures: Sequence[ScoredFigure]) -> float:
    """Return AP50:95, the mean average precision over the IoU thresholds 0.5, 0.55 .. 0.95."""
    overlaps = {
        id(figure): intersection_over_union(figure.predicted, figure.truth) for figure in figures
    }

    def matcher(threshold: float) -> Callable[[ScoredFigure], np.ndarray]:
        return lambda figure: _match(overlaps[id(figure)], figure.scores, threshold)

    return _mean([_interpolate(figures, matcher(threshold)) for threshold in COCO_THRESHOLDS])


def _interpolate(
    figures: Sequence[ScoredFigure], matcher: Callable[[ScoredFigure], np.ndarray]
) -> float:
    due = sum(len(figure.truth) for figure in figures)
    if due == 0:
        return float("nan")
    scores = np.concatenate([figure.scores for figure in figures])
    is_right = np.concatenate([matcher(figure) >= 0 for figure in figures])
    is_right = is_right[np.argsort(-scores, kind="stable")]
    right = np.cumsum(is_right)
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(right / due, _RECALL_POINTS, side="left")
    return float(np.append(envelope, 0.0)[first].mean())


def imageclef_score(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the ImageCLEF score of one figure in [0, 1], in the organisers' order of matching.

    For each true box in file order take the prediction with the largest overlap (the first among
    equals) of those with overlap >= 2/3, where overlap is the shared area divided by the
    *prediction's own* area; the pair counts only if that prediction is still free, there is no
    second choice. The score is pairs / max(true boxes, predictions).

    Loophole: a tiny box inside a panel has overlap 1, so the measure rewards boxes that are too
    small. Never read it without IoU-based precision beside it.
    """
    truth, predicted = _as_boxes(truth), _as_boxes(predicted)
    if not len(truth) or not len(predicted):
        return 1.0 if len(truth) == len(predicted) else 0.0
    own = _areas(predicted)
    shared = _overlap_areas(truth, predicted)  # (M, N)
    overlap = np.divide(shared, own[None, :], out=np.zeros_like(shared), where=own > 0)
    used: set[int] = set()
    for row in overlap:
        best = int(np.argmax(row))
        # areas of whole pixels: 2/3 is met exactly by many boxes, rounding must not lose them
        if row[best] >= _IMAGECLEF_OVERLAP - 1e-12:
            used.add(best)
    return len(used) / max(len(truth), len(predicted))


def imageclef_accuracy(figures: Sequence[ScoredFigure]) -> float:
    """Return the mean ImageCLEF score of the figures that have true boxes, in [0, 1].

    The organisers print it times 100. A figure without predictions scores 0; nan without figures.
    """
    return _mean([imageclef_score(f.truth, f.predicted) for f in figures if len(f.truth)])


def count_split_singles(figures: Sequence[ScoredFigure]) -> int:
    """Return how many figures of one true box got more than one predicted box."""
    return sum(len(f.truth) == 1 and len(f.predicted) > 1 for f in figures)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
