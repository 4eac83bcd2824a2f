"""Interactive requests without Qt: answered in a thread, and only the newest one counts."""

from __future__ import annotations

import atexit
import itertools
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from napari_medssl.backend.jobs import Cancelled, error_text


class LatestWins:
    """Answers requests one at a time; a newer request replaces one that waits or runs.

    The thread begins with a request and ends when none came for `idle_s`, so that requests nobody
    closes leave no thread behind.

    Parameters
    ----------
    on_result
        Called as `on_result(number, result)` in the worker's thread, for the newest request only.
    on_error
        Called as `on_error(number, text)` likewise.
    """

    idle_s = 2.0

    def __init__(
        self,
        on_result: Callable[[int, Any], None],
        on_error: Callable[[int, str], None] = lambda number, text: None,
    ) -> None:
        self._on_result, self._on_error = on_result, on_error
        self._numbers = itertools.count(1)
        self._newest = 0
        self._waiting: tuple[int, Callable[..., Any], tuple[Any, ...]] | None = None
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[..., Any], *args: Any) -> int:
        """Ask for `work(*args, should_stop=...)`; return the number of the request.

        `should_stop()` turns true as soon as a newer request comes in.
        """
        with self._changed:
            if self._is_closed:
                raise RuntimeError("These requests are closed; make a new LatestWins.")
            self._newest = next(self._numbers)
            self._waiting = (self._newest, work, args)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="medssl live", daemon=True)
                _running.add(self)
                self._thread.start()
            return self._newest

    def is_newest(self, number: int) -> bool:
        """Return whether no newer request has come since; ask before showing a result."""
        return number == self._newest and not self._is_closed

    def drop(self) -> None:
        """Forget the request that waits or runs; its result is not delivered."""
        with self._changed:
            self._newest = next(self._numbers)
            self._waiting = None

    def close(self) -> None:
        """Take no more requests and deliver no more results."""
        with self._changed:
            self._is_closed = True
            self._waiting = None
            self._changed.notify()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the thread ends, soon after `close`; return whether it came in time."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        while (request := self._next()) is not None:
            self._answer(*request)
            # An idle thread must not hold what was asked for: images, or a widget.
            del request

    def _next(self) -> tuple[int, Callable[..., Any], tuple[Any, ...]] | None:
        with self._changed:
            if self._waiting is None and not self._is_closed:
                self._changed.wait(self.idle_s)
            request, self._waiting = self._waiting, None
            if request is None:
                self._thread = None
            return request

    def _answer(self, number: int, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            result = work(*args, should_stop=lambda: not self.is_newest(number))
        except Cancelled:
            return
        except Exception as error:
            if self.is_newest(number):
                self._on_error(number, error_text(error))
            return
        if self.is_newest(number):
            self._on_result(number, result)


_running: weakref.WeakSet[LatestWins] = weakref.WeakSet()


@atexit.register
def _end_requests() -> None:
    """Stop what still runs when the program ends: torch may crash in a thread that is cut off."""
    requests = list(_running)
    for each in requests:
        each.close()
    end = time.monotonic() + 5
    for each in requests:
        each.wait(max(0.0, end - time.monotonic()))
