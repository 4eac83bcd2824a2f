"""Temperatures: the one that falls and rises in training, and the check that all of them pass.

Source: You et al., ACTION++, arXiv 2304.02689. With step t, T the steps of a whole course, and the
lowest and the highest temperature t- and t+:

    (1)  t(t) = t- + 0.5 (1 + cos(2 pi t / T)) (t+ - t-)

We differ: nothing. T is all steps of the training, the best of those published: the temperature
starts at the highest, is lowest halfway, and ends at the highest.
"""

from __future__ import annotations

import math

LOW = 0.1
HIGH = 1.0


def annealed_temperature(step: float, total: int, low: float = LOW, high: float = HIGH) -> float:
    """Return equation 1.

    Parameters
    ----------
    step
        From 0 to `total`.
    total
        Steps of the whole training.
    low, high
        Lowest and highest temperature, above 0.

    Raises
    ------
    ValueError
        If the step is not one of the training, or the temperatures are not 0 < low <= high.
    """
    if total < 1 or not 0 <= step <= total:
        raise ValueError(f"Step {step!r} of {total!r} came; due is one from 0 to all of them.")
    check_temperature(low)
    if not low <= high < math.inf:
        raise ValueError(f"Temperatures {low!r} to {high!r} came; due are a low and a high one.")
    return low + 0.5 * (1 + math.cos(2 * math.pi * step / total)) * (high - low)


def check_temperature(value: float) -> None:
    """Raise a `ValueError` unless the temperature is a number above 0."""
    if not 0 < value < math.inf:
        raise ValueError(f"Temperature {value!r} came; due is a number above 0.")
