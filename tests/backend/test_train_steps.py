"""When a training that takes steps writes its checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medssl.backend import train_steps
from napari_medssl.backend.jobs import ignore, never


class Clock:
    """A clock that a step moves on."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


class Run:
    """Takes steps of some seconds and notes after which of them it was saved."""

    checkpoint = Path("none")

    def __init__(self, clock, step_s):
        self.done, self.saved = 0, []
        self._clock, self._step_s = clock, step_s

    def step(self):
        self.done += 1
        self._clock.now += self._step_s
        return {}

    def save(self):
        self.saved.append(self.done)


@pytest.mark.parametrize(
    ("step_s", "saved"),
    [(0.1, [50, 100]), (4.0, [8, 16, 24, 32, 40, 48, 50, 58, 66, 74, 82, 90, 98, 100])],
)
def test_no_more_than_half_a_minute_is_lost_where_steps_take_long(monkeypatch, step_s, saved):
    clock = Clock()
    monkeypatch.setattr(train_steps, "time", clock)
    run = Run(clock, step_s)
    train_steps.take_steps(run, 100, 50, on_progress=ignore, should_stop=never)
    assert run.saved == saved
