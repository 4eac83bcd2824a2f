"""Run functions of the backend in one child process that stays: the window never imports torch.

To import torch and to warm up a network holds Python's lock for up to seconds, in whatever thread
it happens, and the window stands still. So what a window computes on demand runs in a child: one
for the whole program, begun at the first call, ended with the program, begun anew if it died.
Loaded models stay in the child between calls. docs/adr tells why; training has children of its
own (`backend.training`).
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_worker import pack, read_message, write_message
from napari_medssl.backend.jobs import Cancelled, OnProgress, ShouldStop, ignore, never

_log = logging.getLogger(__name__)
_POLL_S = 0.05
_GRACE_S = 30.0  # for a call that was asked to stop, before the process is killed
_GRACE_AT_EXIT_S = 3.0
_ENDINGS = ("result", "cancelled", "user error", "os error", "fault", "died")

Answer = tuple[str, Any]
T = TypeVar("T")


class ComputeLostError(UserError):
    """The process ended while it worked: that says nothing of what it was given, nor of others."""


class ComputeError(RuntimeError):
    """A fault in the compute process; `child_traceback` is the text of its traceback."""

    def __init__(self, message: str, child_traceback: str) -> None:
        super().__init__(message)
        self.child_traceback = child_traceback
        self.add_note(f"In the compute process:\n{child_traceback}")


class ComputeProcess:
    """A child process that does calls; it begins with the first one. Safe to use from any thread.

    Parameters
    ----------
    grace_s
        Seconds that a call may take to stop before the process is killed.
    """

    def __init__(self, grace_s: float = _GRACE_S) -> None:
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._is_over = False

    @property
    def pid(self) -> int | None:
        """Number of the process, None while there is none."""
        child = self._child
        return child.pid if child is not None and child.is_alive else None

    def call(
        self,
        function: str,
        *args: Any,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
        **keywords: Any,
    ) -> Any:
        """Return what `function(*args, on_progress=, should_stop=, **keywords)` gives there.

        Blocks the calling thread, so never call it in the GUI thread.

        Parameters
        ----------
        function
            Where it is: "napari_medssl.backend.figures:separate". It asks `should_stop()` once
            per batch and then raises `Cancelled`.
        args, keywords
            Its arguments; like its result and its progress they are pickled, but for the arrays
            in them, which are not copied: what changes in one meanwhile may come across or not.
        on_progress
            Called in the calling thread, in order, with every `Progress`; what it carries in
            `values` may be a part of the result.
        should_stop
            Asked about 20 times a second.

        Raises
        ------
        UserError
            As raised by the function; `ComputeLostError` if the process died, for example for want
            of memory.
        Cancelled
            If `should_stop` turned true.
        OSError
            As raised by the function.
        ComputeError
            If the function raised anything else.
        """
        packed = pack((args, keywords))
        child = self._running_child()
        number, answers = child.begin(function, *packed)
        asked_at: float | None = None
        try:
            while True:
                if asked_at is None and should_stop():
                    asked_at = time.monotonic()
                    child.send("stop", number)
                if asked_at is not None and time.monotonic() - asked_at > self._grace_s:
                    child.kill("another call in it did not stop when it was asked to")
                    raise Cancelled(f"{function!r} did not stop and its process was killed.")
                try:
                    kind, value = answers.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                if kind in _ENDINGS:
                    return _outcome(kind, value)
                on_progress(value)
        finally:
            child.forget(number)

    def close(self, timeout_s: float = _GRACE_AT_EXIT_S, *, for_good: bool = False) -> None:
        """End the process; calls under way raise. The next call begins a new one, or is cancelled.

        Parameters
        ----------
        timeout_s
            How long it may take to leave in order before it is killed.
        for_good
            The program ends: begin no other.
        """
        with self._lock:
            child, self._child = self._child, None
            self._is_over = for_good
        if child is not None:
            child.close(timeout_s)

    def _running_child(self) -> _Child:
        with self._lock:
            if self._is_over:
                raise Cancelled("The program ends.")
            if self._child is None or not self._child.is_alive:
                self._child = _Child()
            return self._child


class _Child:
    """One life of the process, and the thread that takes its answers."""

    def __init__(self) -> None:
        # Not multiprocessing: it would run the person's script a second time in the child.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            "from napari_medssl.backend.compute_worker import main; main()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self.pid = self._process.pid
        self.is_alive = True
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._calls: dict[int, queue.SimpleQueue[Answer]] = {}
        self._end = ""
        self._reader = threading.Thread(target=self._read, name="medssl compute", daemon=True)
        self._reader.start()

    def begin(
        self, function: str, packed: bytes, arrays: Sequence[Any]
    ) -> tuple[int, queue.SimpleQueue[Answer]]:
        """Send a call, its arguments as `pack` gives them; return its number and its answers."""
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        with self._lock:
            number = next(self._numbers)
            self._calls[number] = answers
            if not self.is_alive:  # it died since the caller looked
                answers.put(("died", self._end))
        self.send("call", number, function, packed, arrays)
        return number, answers

    def forget(self, number: int) -> None:
        """Take no more answers to a call."""
        with self._lock:
            self._calls.pop(number, None)

    def send(self, *message: Any) -> None:
        """Send unless the process has gone; its end is told by `_read`."""
        assert self._process.stdin is not None
        try:
            with self._sending:
                write_message(self._process.stdin, message)  # type: ignore[arg-type]
        except (OSError, ValueError):
            return

    def kill(self, reason: str) -> None:
        """End the process at once; `reason` is told to those whose calls are under way."""
        with self._lock:
            self._end = self._end or (
                f"The compute process was ended, because {reason}. Try again, it starts anew."
            )
            self.is_alive = False  # at once: a call that comes before its end is seen begins anew
        self._process.kill()

    def close(self, timeout_s: float) -> None:
        """Let the process end by itself; kill it if it does not."""
        assert self._process.stdin is not None
        # A process that hangs may not read, and then a thread is stuck in `send`.
        if self._sending.acquire(timeout=timeout_s):
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._sending.release()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(timeout_s)

    def _read(self) -> None:
        try:
            while True:
                self._take_answer()
        except (EOFError, OSError):
            pass
        except Exception:  # nothing after it can be understood; nobody may wait for ever
            _log.exception("an answer of the compute process cannot be read")
            self.kill("an answer of it cannot be read")
        code = self._process.wait()
        with self._lock:
            self._end = self._end or _death(code)
            self.is_alive = False
            for answers in self._calls.values():
                answers.put(("died", self._end))

    def _take_answer(self) -> None:
        assert self._process.stdout is not None
        kind, number, value = read_message(self._process.stdout)  # type: ignore[arg-type]
        with self._lock:
            answers = self._calls.get(number)
        if answers is not None:
            answers.put((kind, value))


def _death(code: int) -> str:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return (
        f"The compute process ended by itself ({how}); most often memory ran out. "
        "Try again, it starts anew; if it ends again, close other programs or choose the CPU."
    )


def _outcome(kind: str, value: Any) -> Any:
    """Return the result, or raise what the end of a call stands for."""
    if kind == "result":
        return value
    if kind == "cancelled":
        raise Cancelled
    if kind == "os error":
        raise OSError(value)
    if kind == "fault":
        raise ComputeError(*value)
    raise (ComputeLostError if kind == "died" else UserError)(value)


def once_more(call: Callable[[], T], on_lost: Callable[[], object]) -> T:
    """Return what a call gives; if the process ended under it, tell so and call again, once."""
    try:
        return call()
    except ComputeLostError:
        on_lost()
        return call()


_shared = ComputeProcess()


def compute_process() -> ComputeProcess:
    """Return the process that all windows of this program share."""
    return _shared


@atexit.register
def _end_shared() -> None:
    """End it with the program. Were this never called, the end of the pipe would do the same."""
    _shared.close(for_good=True)
