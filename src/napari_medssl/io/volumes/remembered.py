"""What was learned of a file, kept while the file stays as it is; for several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

_T = TypeVar("_T")
_TURNS = 16
_WAIT_S = 0.1

Stamp = tuple[Path, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """Return what changes when a file does; None for a folder, and for what is not there."""
    try:
        state = path.stat()
    except OSError:
        return None
    return (path.absolute(), state.st_mtime_ns, state.st_size) if path.is_file() else None


class Remembered(Generic[_T]):
    """A value for each of the files that were asked for last, `capacity` at most."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: dict[Stamp, _T] = {}
        self._lock = threading.Lock()
        self._turns = tuple(threading.Lock() for _ in range(_TURNS))

    def get(self, stamp: Stamp) -> _T | None:
        """Return what is known of a file, None for nothing."""
        with self._lock:
            found = self._known.pop(stamp, None)
            if found is not None:
                self._known[stamp] = found  # the last that was asked for
            return found

    def put(self, stamp: Stamp, value: _T) -> None:
        """Keep what is known of a file in place of what was."""
        with self._lock:
            self._known.pop(stamp, None)
        self.keep(stamp, value)

    def keep(self, stamp: Stamp, value: _T) -> _T:
        """Keep and return what is known of a file; of two threads the first is right."""
        with self._lock:
            kept = self._known.setdefault(stamp, value)
            if len(self._known) > self._capacity:
                del self._known[next(iter(self._known))]
            return kept

    @contextmanager
    def turn(self, stamp: Stamp, while_waiting: Callable[[], object]) -> Iterator[None]:
        """Let one thread at a time look into a file: those that wait find what it has learned.

        `while_waiting` is called now and then, and may raise to end it.
        """
        lock = self._turns[hash(stamp) % _TURNS]
        while not lock.acquire(timeout=_WAIT_S):
            while_waiting()
        try:
            yield
        finally:
            lock.release()
