"""Choose the score above which a box of a fine-tuned detector counts.

Fine-tuning moves all scores, so the former model's least score would cut off panels that are found,
or let through what is none. Simulated figures that no training has seen tell where it belongs now.
The rule is ours, no paper's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medssl.backend.improve_check import rows_of, scored
from napari_medssl.methods.simcfs.metrics import ScoredFigure, count_matches

if TYPE_CHECKING:
    from napari_medssl.backend.figures import Separator
    from napari_medssl.methods.simcfs.simulator import SimulatedFigure

_STEPS = tuple(k / 20 for k in range(1, 15))  # 0.05 to 0.7
_LEVEL = 0.01  # F1 that is no difference on a few dozen figures


class ScoreCalibration:
    """Collects what a detector finds at each least score; `best` is the score to use.

    Parameters
    ----------
    separator
        The detector; it is left with the default score that it came with.
    """

    def __init__(self, separator: Separator) -> None:
        self._separator, self._former = separator, separator.default_score
        self._steps = sorted({*_STEPS, self._former})
        self._found: dict[float, list[ScoredFigure]] = {step: [] for step in self._steps}

    def look(self, figure: SimulatedFigure) -> None:
        """Find the panels of a figure at each least score; the network looks once."""
        try:
            for step, found in self._found.items():
                self._separator.default_score = step
                found.append(scored(figure.boxes, rows_of(self._separator, figure.image)))
        finally:
            self._separator.default_score = self._former

    def best(self) -> float:
        """Return the score nearest to the former one among those of the best F1 at IoU 0.5."""
        f1 = {step: count_matches(found, 0.5).f1 for step, found in self._found.items()}
        most = max(f1.values())
        level = [step for step in self._steps if f1[step] >= most - _LEVEL]
        return min(level, key=lambda step: abs(step - self._former))
