"""Colours of points by a number, such as how far the map can be trusted there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Viridis (S. van der Walt and N. Smith, CC0) at nine steps: even to the eye, also without colours.
_STEPS = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    np.float64,
)  # fmt: skip
_NONE = (128, 128, 128)
_TAIL = 1.0  # percent at either end that share the last colour: one outlier would take all


class NumberColors:
    """Points from purple (least) over green to yellow (greatest); grey where there is no number.

    Parameters
    ----------
    values
        One a point, shape (N,).

    Attributes
    ----------
    low, high
        Values of the first and the last colour: percentiles 1 and 99.
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = np.asarray(values, np.float64)
        finite = self.values[np.isfinite(self.values)]
        self.low, self.high = 0.0, 1.0
        if len(finite):
            self.low, self.high = (float(v) for v in np.percentile(finite, (_TAIL, 100 - _TAIL)))

    def colors(self) -> NDArray[np.uint8]:
        """Return the colour of each point, RGB, shape (N, 3)."""
        found = number_colors(self.values, self.low, self.high)
        found[~np.isfinite(self.values)] = _NONE
        return found

    def shown(self) -> NDArray[np.bool_]:
        """Return which points are shown, shape (N,): all; a range is the filter's matter."""
        return np.ones(len(self.values), bool)


def number_colors(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    """Return the colours of values between two ends, RGB, shape (N, 3)."""
    span = high - low
    with np.errstate(invalid="ignore"):
        part = np.clip((values - low) / span if span > 0 else values * 0 + 0.5, 0, 1)
    place = np.nan_to_num(part) * (len(_STEPS) - 1)
    columns = [np.interp(place, np.arange(len(_STEPS)), _STEPS[:, c]) for c in range(3)]
    return np.round(np.stack(columns, axis=1)).astype(np.uint8)
