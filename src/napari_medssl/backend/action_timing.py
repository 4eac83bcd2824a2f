"""Keep a training of ACTION within a time: how many steps fit is asked again while it learns.

A few steps of each stage are taken and thrown away first. They tell what stages cost beside each
other; how fast the machine is may change at any time, so the steps themselves are timed from then
on, and the schedule is told to end where the time does.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, never

if TYPE_CHECKING:
    from napari_medssl.backend.action_run import ActionRun

TIMED = 3
"""Steps of each stage that tell how long one takes; the first is not counted."""

_LEAST = 20  # steps of a stage, however short the time: fewer give no model of use
_STEEP = 4  # times as fast as in a training of so few, at most, it goes on to the end
_MOST = 50_000
_RECENT = 20  # steps that tell how fast the machine is now, in a short training a tenth of all
_FEWEST = 5  # of them; before there are so many, those that were thrown away count
_OFTEN = 20  # how many times in a training steps are counted anew, in a long one every tenth step
_CAP = 3  # times the usual step: a longer one, as when a file is written, counts as that much
_ASLEEP = 10  # times a usual step, and seconds: what goes beyond both is no time of the training
_ASLEEP_S = 5.0
_BEFORE = 0.5  # of the time, at most, is taken by what comes before the first step
_TIMING = 0.1  # of the time; where timing took longer, no further stage is timed


def clock() -> float:
    """Return seconds that never go backwards; tests have their own."""
    return time.monotonic()


class Allowance:
    """The time that a training is given, from now on, and what of it is spent.

    Parameters
    ----------
    seconds
        In all.

    Attributes
    ----------
    spent
        Seconds that count: a machine that slept, or a training that was paused, learnt nothing.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.spent = seconds, 0.0
        self._until = seconds  # of `spent`, when it ends, as far as is known
        self._costs: list[float] = []  # seconds of a step of each stage, when they were timed
        self._recent: list[float] = []  # the same of the last steps, as multiples of these costs
        self._at = clock()

    def measure(self, trial: ActionRun, should_stop: ShouldStop = never) -> int:
        """Return how many steps, all stages together, fit into what is left of the time.

        Parameters
        ----------
        trial
            A run of the same stages, of which nothing is used afterwards.

        Raises
        ------
        Cancelled
            If `should_stop` said so, within one step.
        """
        begun = clock()
        for start in (0, *trial.ends[:-1]):
            # On a crawling machine a first guess has to do: what steps take is seen soon enough.
            is_late = bool(self._costs) and clock() - begun > _TIMING * self.seconds
            took = self._costs[-1] if is_late else seconds_of(trial, start, should_stop)
            self._costs.append(max(took, 1e-6))
        trial.done = 0
        self.spent = min(self._since(), _BEFORE * self.seconds)
        self._at = clock()
        return self._fitting(trial)

    def after_step(self, run: ActionRun, stage: int) -> None:
        """Count a step, and tell the run where to end if it is time to.

        Parameters
        ----------
        stage
            Number of the one that the step was of.
        """
        cost = self._costs[stage]
        usual = median(self._recent) if self._recent else 1.0
        took = min(self._since(), max(_ASLEEP * usual * cost, _ASLEEP_S))
        self._at = clock()
        self.spent += took
        self._recent = [*self._recent, took / cost][-_RECENT:]
        if run.ending is not None:
            # Its way down is a tenth of the steps, and begins so early that there is time for it.
            self._until = self.spent + (run.end - run.done) * self._seconds_each(run)
            return
        often = max(1, min(10, run.end // _OFTEN))
        is_due = run.done - run.course.told_at >= often and len(self._recent) >= _FEWEST
        if is_due and run.done < run.end:
            run.end_after(self._fitting(run))

    def told(self, on_progress: OnProgress) -> OnProgress:
        """Return an `on_progress` that says how much of the time is left."""

        def tell(progress: Progress) -> None:
            on_progress(replace(progress, left_s=self.left_s()))

        return tell

    def left_s(self) -> float:
        """Return the seconds until the training ends."""
        return max(0.0, self._until - self.spent - self._since())

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: JSON values."""
        return {
            "spent": self.spent,
            "until": self._until,
            "costs": self._costs,
            "recent": self._recent,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`; what was before the checkpoint counts, what is since does not."""
        self.spent, self._until = float(state["spent"]), float(state["until"])
        self._costs, self._recent = list(state["costs"]), list(state["recent"])
        self._at = clock()

    def _since(self) -> float:
        return clock() - self._at

    def _fitting(self, run: ActionRun) -> int:
        """Return how many steps are to be taken from here, and note when they will have been."""
        place, planned = run.course.place(run.done), run.course.planned
        each = self._seconds_each(run)
        fitting = round((self.seconds - self.spent) / each)
        shortest = _LEAST * len(run.ends)
        # What remains of the rate's way down is not gone in a step or two, late as it may be.
        steep = math.ceil((1 - place / planned) * shortest / _STEEP - 1e-6)
        least = max(shortest - run.done, steep)
        steps = max(min(fitting, _MOST - run.done), least)
        self._until = self.spent + steps * each
        return steps

    def _seconds_each(self, run: ActionRun) -> float:
        """Return how long a step takes, on the average of those that are to come."""
        place = run.course.place(run.done)
        starts = (0, *run.ends[:-1])
        parts = [
            max(0.0, end - max(start, place)) for start, end in zip(starts, run.ends, strict=True)
        ]
        costs = sum(part * cost for part, cost in zip(parts, self._costs, strict=True))
        return self._pace(run.end) * costs / sum(parts)

    def _pace(self, steps: int) -> float:
        """Return how many times as long as its cost a step takes now, in a training of `steps`."""
        if len(self._recent) < _FEWEST:
            return 1.0
        recent = self._recent[-max(_FEWEST, min(_RECENT, steps // 10)) :]
        most = _CAP * median(recent)
        return max(fmean(min(one, most) for one in recent), 1e-6)


def seconds_of(trial: ActionRun, start: int, should_stop: ShouldStop = never) -> float:
    """Return how long a step of the stage that begins at `start` takes; Cancelled if told so."""
    begun = 0.0
    for number in range(TIMED):
        if should_stop():
            raise Cancelled("Stopped before the training began.")
        if number == 1:
            begun = clock()
        trial.done = start
        trial.step()
    return (clock() - begun) / (TIMED - 1)
