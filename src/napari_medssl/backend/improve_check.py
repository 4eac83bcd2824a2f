"""Before and after: what fine-tuning changed on the figures at hand and on simulated ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medssl.methods.simcfs.metrics import ScoredFigure, count_matches

if TYPE_CHECKING:
    from napari_medssl.backend.figures import Separator

LEAST_TO_CHECK = 4  # with fewer figures none can be spared to check on
_MOST_FORGOTTEN = 0.02


@dataclass(frozen=True)
class Comparison:
    """F1 of a set of figures by the model before and the one after, at IoU 0.5 and 0.75."""

    name: str
    figures: int
    boxes: int
    before_50: float
    after_50: float
    before_75: float
    after_75: float


@dataclass(frozen=True)
class FigureComparison:
    """F1 at IoU 0.5 of one figure; `round` is the check that held it out, 0 if none."""

    name: str
    round: int
    before_50: float
    after_50: float


@dataclass(frozen=True)
class ImproveReport:
    """What `improve` made and whether it is better.

    Attributes
    ----------
    model, path
        Name and file of the new model; `start` is the one that it was made from.
    used, skipped
        Names of the figures learnt from; `(name, reason)` of those that could not be.
    held_out
        Names of the figures held out in each check. Checks are made with models of their own,
        which have not seen these; the new model has learnt from all figures. Empty when there
        were too few, and `at_hand` is then scored on figures that the new model has seen.
    at_hand, simulated
        Before and after on the figures at hand and on a fixed set of simulated ones.
    figures
        Before and after of each figure.
    score
        Least score of a box of the new model, chosen anew.
    is_better, advice
        Whether to use the new model, and why, in a sentence or two.
    """

    model: str
    path: str
    start: str
    used: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    held_out: tuple[tuple[str, ...], ...]
    at_hand: Comparison
    simulated: Comparison
    figures: tuple[FigureComparison, ...]
    is_better: bool
    advice: str
    score: float

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def metrics(report: ImproveReport) -> dict[str, Any]:
    """Return what a model's card tells of the comparison."""
    return {
        "at_hand": asdict(report.at_hand),
        "at_hand_is_held_out": bool(report.held_out),
        "simulated": asdict(report.simulated),
    }


def choose_held_out(count: int, checks: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Return which of `count` figures each check holds out; none when there are too few.

    One check holds out a quarter; several hold out every figure once between them.
    """
    if not checks or count < LEAST_TO_CHECK:
        return ()
    order = np.random.default_rng([seed, count, 5]).permutation(count)
    if checks == 1:
        return (tuple(sorted(order[: max(1, count // 4)].tolist())),)
    parts = np.array_split(order, min(checks, count))
    return tuple(tuple(sorted(part.tolist())) for part in parts)


def rows_of(separator: Separator, image: np.ndarray) -> list[list[float]]:
    """Return what a detector finds in an image, rows of corners and score."""
    return [[b.x0, b.y0, b.x1, b.y1, b.score or 0.0] for b in separator.separate(image)]


def scored(truth: np.ndarray, found: Sequence[Sequence[float]]) -> ScoredFigure:
    """Return true boxes (M, 4) and found ones, rows of corners and score, as the metrics do."""
    rows = np.array(found, dtype=float).reshape(-1, 5)
    return ScoredFigure(truth, rows[:, :4], rows[:, 4])


def compare(name: str, before: Sequence[ScoredFigure], after: Sequence[ScoredFigure]) -> Comparison:
    """Compare two models on the same figures."""
    return Comparison(
        name,
        len(before),
        sum(len(figure.truth) for figure in before),
        count_matches(before, 0.5).f1,
        count_matches(after, 0.5).f1,
        count_matches(before, 0.75).f1,
        count_matches(after, 0.75).f1,
    )


def compare_each(
    names: Sequence[str],
    rounds: Sequence[int],
    before: Sequence[ScoredFigure],
    after: Sequence[ScoredFigure],
) -> tuple[FigureComparison, ...]:
    """Compare two models figure by figure; `rounds` tells in which check each was held out."""
    return tuple(
        FigureComparison(name, k, count_matches([a], 0.5).f1, count_matches([b], 0.5).f1)
        for name, k, a, b in zip(names, rounds, before, after, strict=True)
    )


def judge(
    model: str, start: str, at_hand: Comparison, simulated: Comparison, *, is_fair: bool
) -> tuple[bool, str]:
    """Return whether the new model is better, and the advice that a person reads."""
    change = f"F1 {at_hand.before_50:.3f} before, {at_hand.after_50:.3f} after"
    where = "figures that it had not seen" if is_fair else "the figures that it has seen"
    lost = simulated.before_50 - simulated.after_50
    gain = (at_hand.after_50 - at_hand.before_50, at_hand.after_75 - at_hand.before_75)
    few = (
        ""
        if is_fair
        else f" This is no fair test: accept at least {LEAST_TO_CHECK} figures for one."
    )
    if gain[0] < 0:
        return False, f"Worse on {where} ({change}): keep {start!r}.{few}"
    if lost > _MOST_FORGOTTEN:
        return False, (
            f"It forgot: F1 on simulated figures fell by {lost:.3f}. Keep {start!r}, or try again "
            "with a larger share of replay, fewer steps or a smaller learning rate."
        )
    if gain <= (0.0, 0.0):
        return False, f"No better on {where} ({change}): keep {start!r}.{few}"
    return True, f"Better on {where} ({change}): use {model!r}.{few}"
