"""How many steps of a training of ACTION fit into a time: a few are taken and thrown away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_medssl.backend.jobs import Cancelled, ShouldStop, never

if TYPE_CHECKING:
    from napari_medssl.backend.action_run import ActionRun

TIMED = 3
"""Steps of each stage that tell how long one takes; the first is not counted."""

_LEAST = 20  # steps of a stage, however short the time
_MOST = 50_000


def fitting_steps(trial: ActionRun, minutes: float, should_stop: ShouldStop = never) -> int:
    """Return how many steps, all stages together, take so many minutes.

    Parameters
    ----------
    trial
        A run of the same stages, of which nothing is used afterwards.

    Raises
    ------
    Cancelled
        If `should_stop` said so, within one step.
    """
    starts = (0, *trial.ends[:-1])
    mean = sum(
        seconds_of(trial, start, should_stop) * (end - start) / trial.ends[-1]
        for start, end in zip(starts, trial.ends, strict=True)
    )
    return min(max(round(minutes * 60 / mean), _LEAST * len(starts)), _MOST)


def seconds_of(trial: ActionRun, start: int, should_stop: ShouldStop = never) -> float:
    """Return how long a step of the stage that begins at `start` takes; Cancelled if told so."""
    begun = 0.0
    for number in range(TIMED):
        if should_stop():
            raise Cancelled("Stopped before the training began.")
        if number == 1:
            begun = time.monotonic()
        trial.done = start
        trial.step()
    return (time.monotonic() - begun) / (TIMED - 1)
