"""Where in its schedule a training is after so many steps, also if these become fewer or more."""

from __future__ import annotations


class Course:
    """Maps steps to places of a schedule: evenly, from where the number of steps was told last.

    Rates, stages and ramps follow from the place, which runs from 0 to `planned`. As long as
    nothing is told anew the place is the number of steps that were taken.

    Parameters
    ----------
    planned
        Length of the schedule, and steps in all as long as nothing else is told.

    Attributes
    ----------
    total
        Steps in all, as far as is known.
    told_at
        Step at which that was told.
    """

    def __init__(self, planned: int) -> None:
        self.planned = self.total = planned
        self.told_at, self._place = 0, 0.0

    def place(self, done: int) -> float:
        """Return the place after so many steps, not before `told_at`."""
        slope = (self.planned - self._place) / (self.total - self.told_at)
        return self._place + (done - self.told_at) * slope

    def end_after(self, done: int, left: int) -> None:
        """Have the schedule end so many steps after the one that was taken last."""
        self.told_at, self._place = done, self.place(done)
        self.total = done + left

    def state(self) -> list[float]:
        """Return what `restored` takes: JSON values, to the last bit."""
        return [self.planned, self.total, self.told_at, self._place]

    @classmethod
    def restored(cls, state: list[float]) -> Course:
        """Return the course whose `state` this is."""
        course = cls(int(state[0]))
        course.total, course.told_at, course._place = int(state[1]), int(state[2]), state[3]
        return course
