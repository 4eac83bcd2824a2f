"""Long work without Qt: how it reports and stops, and the thread it runs in.

A job is a function `work(config, *, on_progress, should_stop)`; `Job` runs one in a thread.
Interactive requests, where only the newest one counts, are answered by `backend.live`.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from napari_medssl._errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a long job: `done` of `total` (None if unknown), and words for a person.

    `values` carries numbers worth drawing, such as losses, by name; `left_s` the seconds left, of
    work that knows them better than its pace tells.
    """

    done: int
    total: int | None = None
    message: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    left_s: float | None = None


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class Cancelled(Exception):  # noqa: N818 - the user asked for it, nothing went wrong
    """Raised by a job that was asked to stop, after it left everything in order."""


def ignore(progress: Progress) -> None:
    """Take no notice of progress: the default of every `on_progress`."""


def never() -> bool:
    """Never ask to stop: the default of every `should_stop`."""
    return False


def error_text(error: BaseException) -> str:
    """Return the one line that a person reads about an exception."""
    if isinstance(error, UserError):
        return str(error)
    kind = type(error).__name__
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        return "Memory ran out. Use a smaller batch size or the CPU, or close other programs."
    if isinstance(error, OSError):
        return str(error)
    first = (str(error).strip().splitlines() or [""])[0]
    return f"A fault of napari-medssl, not of your input: {kind}: {first}".rstrip(": ")


class Job:
    """One run of a function in a thread of its own.

    The calls of `on_progress` and the end happen in that thread; a widget reads `state` and
    `take_progress` from the GUI thread instead of being called.

    Parameters
    ----------
    work
        Called as `work(config, on_progress=..., should_stop=...)`; raises `Cancelled` when it
        stops because it was asked to.
    config
        Handed to `work` as it is.
    title
        What it does, for people: "Separating 12 figures".
    on_progress
        Called in the thread of the job with each `Progress`.
    """

    _most_kept = 10_000

    def __init__(
        self,
        work: Callable[..., Any],
        config: Any,
        *,
        title: str = "",
        on_progress: OnProgress = ignore,
    ) -> None:
        self.title = title
        self.state: JobState = "queued"
        self.result: Any = None
        self.error = ""
        self.details = ""
        self.progress: Progress | None = None
        self._work, self._config, self._on_progress = work, config, on_progress
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._fresh: deque[Progress] = deque(maxlen=self._most_kept)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"medssl {title}", daemon=True)

    def start(self) -> Job:
        """Start the thread; return the job. A job that was cancelled before does not start."""
        with self._lock:
            if self.state != "queued":
                return self
            self.state = "running"
        _running.add(self)
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Ask the work to stop; it does so at its next step."""
        with self._lock:
            self._stop.set()
            if self.state == "queued":
                self.state = "cancelled"
                self._ended.set()

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop and has not ended yet."""
        return self._stop.is_set() and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """Whether it is done, failed or cancelled; `result` and `error` are final then."""
        return self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; return whether it came in time."""
        return self._ended.wait(timeout_s)

    def take_progress(self) -> list[Progress]:
        """Return the reports since the last call, oldest first."""
        taken = []
        while self._fresh:
            taken.append(self._fresh.popleft())
        return taken

    def _report(self, progress: Progress) -> None:
        self.progress = progress
        self._fresh.append(progress)
        self._on_progress(progress)

    def _run(self) -> None:
        state: JobState = "failed"
        try:
            self.result = self._work(
                self._config, on_progress=self._report, should_stop=self._stop.is_set
            )
            state = "done"
        except Cancelled:
            state = "cancelled"
        except BaseException as error:  # nothing may end the thread unseen
            self.error = error_text(error)
            self.details = traceback.format_exc()
            if not isinstance(error, UserError):
                logger.exception("Job %r failed", self.title)
        finally:
            self.state = state
            self._ended.set()


_running: weakref.WeakSet[Job] = weakref.WeakSet()


@atexit.register
def _end_jobs() -> None:
    """Stop what still runs when the program ends: torch may crash in a thread that is cut off."""
    for job in list(_running):
        job.cancel()
    end = time.monotonic() + 5
    for job in list(_running):
        job.wait(max(0.0, end - time.monotonic()))


class Eta:
    """Guesses the time left from the pace so far.

    The first report only sets the clock: models load before it, and would spoil the pace. So does
    one with fewer steps done than before: another kind of work began.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._last = 0

    def left_s(self, progress: Progress) -> float | None:
        """Return the seconds left, None while they cannot be known."""
        if progress.left_s is not None:
            return progress.left_s
        now = self._clock()
        if self._first is None or progress.done < self._last:
            self._first = (now, progress.done)
            self._last = progress.done
            return None
        self._last = progress.done
        began, done_then = self._first
        steps = progress.done - done_then
        if progress.total is None or steps < 1:
            return None
        return (now - began) / steps * max(progress.total - progress.done, 0)


def duration_text(seconds: float) -> str:
    """Return a time as people say it: "8 s", "3 min", "2 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
