"""Training in a child process: GPU memory is free for sure only when a process ends.

The child is spawned, never forked: zarr and torch leave threads and locks that a fork breaks.
Parent and child talk through one pipe. Its end doubles as the sign that the parent has died,
and the child then leaves too.
"""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.leaving import leave_at_once
from napari_medssl.backend.openmp import let_threads_sleep

_POLL_S = 0.05
# How long a child may take to leave in order after it was asked to, before it is killed.
_GRACE_S = 30.0
_GRACE_AT_EXIT_S = 3.0
_LEAVING_S = 15.0  # with the work done; loaders may still be starting, and are waited for
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Work = Callable[..., Any]


class TrainingError(RuntimeError):
    """A fault in the child process; `child_traceback` is the text of its traceback."""

    def __init__(self, message: str, child_traceback: str) -> None:
        super().__init__(message)
        self.child_traceback = child_traceback
        self.add_note(f"In the training process:\n{child_traceback}")


class ProcessDiedError(UserError):
    """The child process ended without a word, for example for want of memory."""


_starting = threading.Lock()
_children: weakref.WeakSet[BaseProcess] = weakref.WeakSet()


def run_in_child(
    work: Work,
    config: Any,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
    grace_s: float = _GRACE_S,
) -> Any:
    """Run `work(config, on_progress=..., should_stop=...)` in a spawned process; return its result.

    Parameters
    ----------
    work
        A function at the top of a module (the child imports it by name). It asks `should_stop()`
        once per batch, and raises `Cancelled` after leaving its files in order.
    config
        Its settings; `config` and the result cross the process border, so they hold plain values.
    on_progress
        Called in the calling thread, in order, with every `Progress` of the child.
    should_stop
        Asked about 20 times a second.
    grace_s
        Seconds that the child may take to stop before it is killed.

    Raises
    ------
    UserError
        As raised by `work`.
    ProcessDiedError
        When the child was killed, for example for want of memory; a `UserError`.
    Cancelled
        When `should_stop` turned true.
    TrainingError
        When `work` raised anything else.
    """
    # Packed here, so that a fault in unpacking is caught in the child and told with its traceback.
    # This is the standard way between two processes of one program; no file is ever unpickled.
    task = bytes(ForkingPickler.dumps((work, config)))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=True)
    # No daemon: training may start loader processes of its own. `_end_children` stops it at exit.
    child = context.Process(target=_serve, args=(theirs, task), name="medssl-training")
    child.daemon = False
    with _signals_held(), _script_left_out(work):
        child.start()
    theirs.close()
    _children.add(child)
    try:
        kind, value = _follow(child, ours, on_progress, should_stop, grace_s)
    finally:
        ours.close()  # the child sees the end of the pipe and leaves, whatever happened here
        child.join(_LEAVING_S)
        if child.is_alive():
            child.kill()
            child.join()
    return _outcome(kind, value)


def _follow(
    child: BaseProcess,
    pipe: Connection,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    grace_s: float,
) -> tuple[str, Any]:
    """Pass on progress and the wish to stop until the child sends its end or dies."""
    asked_at: float | None = None
    last: Progress | None = None
    while True:
        if asked_at is None and should_stop():
            asked_at = time.monotonic()
            _send(pipe, "stop")
        if asked_at is not None and time.monotonic() - asked_at > grace_s:
            child.kill()
            return "cancelled", (
                f"Stopped; the training process did not answer for {grace_s:g} s and was ended. "
                "If there is a checkpoint, --resume goes on from it."
            )
        if pipe in wait([pipe, child.sentinel], timeout=_POLL_S):
            try:
                kind, value = pipe.recv()
            except (EOFError, ConnectionResetError):
                child.join()
                return "died", (child.exitcode, last)
            if kind != "progress":
                return kind, value
            last = value
            on_progress(value)
        elif not child.is_alive() and not pipe.poll():
            return "died", (child.exitcode, last)


def _send(pipe: Connection, message: Any) -> None:
    """Send unless the other side has gone; its end is noticed where it is waited for."""
    try:
        pipe.send(message)
    except (BrokenPipeError, ConnectionResetError):
        return


def _outcome(kind: str, value: Any) -> Any:
    if kind == "result":
        return value
    if kind == "cancelled":
        raise Cancelled(value or "The training was stopped.")
    if kind == "user error":
        raise UserError(value)
    if kind == "fault":
        raise TrainingError(*value)
    code, last = value
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    where = f" at step {last.done}" if last is not None else ""
    raise ProcessDiedError(
        f"The training process ended by itself{where} ({how}); most often memory ran out. "
        "Use a smaller batch size and resume from the last checkpoint."
    )


def _serve(pipe: Connection, task: bytes) -> None:
    """Run the work in the child and send progress and the end through the pipe."""
    let_threads_sleep()
    stop = threading.Event()
    multiprocessing.util.Finalize(None, _end_children, exitpriority=0)
    leave_at_once()
    _answer_signals(stop)
    has_ended = threading.Event()
    threading.Thread(target=_listen, args=(pipe, stop, has_ended), daemon=True).start()
    sending = threading.Lock()

    def send(kind: str, value: Any) -> None:
        with sending:
            if kind != "progress":
                has_ended.set()
            _send(pipe, (kind, value))

    try:
        work, config = pickle.loads(task)
        result = work(
            config,
            on_progress=lambda progress: send("progress", progress),
            should_stop=stop.is_set,
        )
        send("result", result)
    except Cancelled as cancelled:
        send("cancelled", str(cancelled))
    except UserError as error:
        send("user error", str(error))
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
        send("fault", (message, traceback.format_exc()))


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back Ctrl+C and SIGTERM: the child inherits that, and cannot be hit while it starts.

    They reach this process when the block ends, and the child in `_answer_signals`.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Started first: starting it inside would let the signals through again (Python < 3.13).
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _script_left_out(work: Work) -> Iterator[None]:
    """Keep multiprocessing from running the person's script a second time in the child.

    It does so for the sake of functions defined there, but a script that opens a viewer would open
    another, and train not at all. So it is told that there is no script.
    """
    main = sys.modules["__main__"]
    if getattr(work, "__module__", "") == "__main__":
        yield
        return
    with _starting:
        names = ("__spec__", "__file__")
        kept: dict[str, Any] = {name: vars(main)[name] for name in names if name in vars(main)}
        main.__spec__ = None
        vars(main).pop("__file__", None)
        try:
            yield
        finally:
            vars(main).update(kept)


def _answer_signals(stop: threading.Event) -> None:
    """Let SIGTERM stop the child in order, as when a whole process group is told to end.

    Ctrl+C reaches every process of a terminal; the parent decides what it means.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end(number: int, frame: Any) -> None:
        stop.set()
        if hasattr(signal, "SIGCHLD"):
            # torch raises wherever we are when a loader process ends; told to end, they all do.
            signal.signal(signal.SIGCHLD, lambda number, frame: None)

    signal.signal(signal.SIGTERM, end)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _listen(pipe: Connection, stop: threading.Event, has_ended: threading.Event) -> None:
    """Wait for the word to stop; when the parent has gone, stop and soon leave for good.

    A process that has told its end may take longer: what is cut off while it gives back its
    semaphores has Python complain of them on the person's screen.
    """
    try:
        while pipe.recv() == "stop":
            stop.set()
    except (EOFError, OSError):
        stop.set()
        time.sleep(_LEAVING_S if has_ended.is_set() else _GRACE_AT_EXIT_S)
        os._exit(1)


@atexit.register
def _end_children() -> None:
    """Stop what still trains when the program ends, or Python would wait for it."""
    for child in list(_children):
        if child.is_alive():
            child.terminate()
            child.join(_GRACE_AT_EXIT_S)
            child.kill()
