"""In which order to look at the figures, how many are left and how long that will take."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from psygnal import Signal

from napari_medssl.io.boxes import Box


class ReviewState(StrEnum):
    """What a person has said about a figure."""

    TO_DO = "to do"
    DONE = "done"
    UNSURE = "unsure"
    REJECTED = "rejected"


CHECKED = frozenset({ReviewState.DONE, ReviewState.REJECTED})
BENEFIT_OF_EMPTY = 1.5
IDLE_S = 300.0


def expected_benefit(boxes: Iterable[Box], threshold: float = 0.5) -> float:
    """Return how much a look at a figure is expected to mend, 0 if every box is certain.

    A box of score p is wrong to keep with probability 1 - p and wrong to drop with p, so
    4 p (1 - p) is 1 where the detector knows nothing. A box within 0.1 of the threshold counts
    once more: a hair decides whether it is shown. Boxes without score come from a person and
    cost nothing. A figure without any box gets `BENEFIT_OF_EMPTY`: scores cannot tell of boxes
    that were missed altogether.
    """
    boxes = tuple(boxes)
    if not boxes:
        return BENEFIT_OF_EMPTY
    scores = [box.score for box in boxes if box.score is not None]
    uncertain = sum(4.0 * p * (1.0 - p) for p in scores)
    return uncertain + sum(abs(p - threshold) <= 0.1 for p in scores)


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far the review is; `eta_s` is None until the pace is known."""

    total: int
    done: int
    unsure: int
    rejected: int
    eta_s: float | None

    @property
    def left(self) -> int:
        """Figures that nobody has decided about."""
        return self.total - self.done - self.rejected


class ReviewQueue:
    """States and order of the figures of one project.

    Parameters
    ----------
    clock
        Returns seconds; given by tests.

    Attributes
    ----------
    changed
        Emitted with the key whose state or benefit changed, None if all may have.
    """

    changed = Signal(object)

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._states: dict[str, ReviewState] = {}
        self._benefit: dict[str, float] = {}
        self._clock = clock
        self._last: float | None = None
        self._durations: deque[float] = deque(maxlen=20)

    def fill(self, states: Mapping[str, ReviewState], benefit: Mapping[str, float]) -> None:
        """Hold exactly these figures, in this order of ties."""
        self._states = dict(states)
        self._benefit = {key: benefit.get(key, BENEFIT_OF_EMPTY) for key in states}
        self.changed.emit(None)

    def __len__(self) -> int:
        return len(self._states)

    def state(self, key: str) -> ReviewState:
        """Return the state of a figure; KeyError if it is not there."""
        return self._states[key]

    def set_benefit(self, key: str, benefit: float) -> None:
        """Say anew what a look at a figure is worth."""
        self._benefit[key] = benefit

    def benefit(self, key: str) -> float:
        """Return what a look at a figure is worth."""
        return self._benefit[key]

    def set_state(self, key: str, state: ReviewState) -> None:
        """Set the state of a figure; a decision also tells the pace."""
        before = self._states[key]
        if state == before:
            return
        self._states[key] = state
        if state in CHECKED and before not in CHECKED:
            self._note_decision()
        self.changed.emit(key)

    def begin(self) -> None:
        """Start the clock of the pace: a figure is now in front of the person."""
        if self._last is None:
            self._last = self._clock()

    def _note_decision(self) -> None:
        now = self._clock()
        # A pause for lunch is not the pace: longer gaps are left out.
        if self._last is not None and now - self._last <= IDLE_S:
            self._durations.append(now - self._last)
        self._last = now

    def order(self) -> list[str]:
        """Return all keys: to do by benefit, then unsure by benefit, then the checked ones."""
        rank = {ReviewState.TO_DO: 0, ReviewState.UNSURE: 1}
        return sorted(self._states, key=lambda k: (rank.get(self._states[k], 2), -self._benefit[k]))

    def next_unchecked(self, after: str | None = None) -> str | None:
        """Return the next figure worth a look, going on from `after` and round again.

        Figures to do come before unsure ones. None if no other figure is left.
        """
        for wanted in (ReviewState.TO_DO, ReviewState.UNSURE):
            ranked = [k for k in self._by_benefit() if k == after or self._states[k] == wanted]
            start = ranked.index(after) + 1 if after in ranked else 0
            turn = [key for key in ranked[start:] + ranked[:start] if key != after]
            if turn:
                return turn[0]
        return None

    def _by_benefit(self) -> list[str]:
        return sorted(self._states, key=lambda key: -self._benefit[key])

    def progress(self) -> ReviewProgress:
        """Return counts and the time left, in seconds, at the median pace of the last decisions."""
        values = list(self._states.values())
        done, rejected = values.count(ReviewState.DONE), values.count(ReviewState.REJECTED)
        left = len(values) - done - rejected
        eta = statistics.median(self._durations) * left if len(self._durations) >= 3 else None
        return ReviewProgress(len(values), done, values.count(ReviewState.UNSURE), rejected, eta)
