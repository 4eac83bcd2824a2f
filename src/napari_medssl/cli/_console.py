"""What every verb prints: results on stdout; all else on stderr, one whole line each.

Lines are written raw, never through a wrapping console: a file name of 300 characters stays
whole, so that it can be copied. Exit codes: 0 all done, 1 some inputs failed and the others are
written, or the work was stopped, 2 wrong usage or nothing done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import typer

from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore

ALL_DONE = 0
SOME_FAILED = 1
STOPPED = 1
NOTHING_DONE = 2


@dataclass
class Session:
    """What the options of the running command say about output."""

    quiet: bool = False
    debug: bool = False


SESSION = Session()


def one_line(text: str) -> str:
    r"""Return `text` as one printable line: line breaks become spaces, control codes `\x..`."""
    joined = " ".join(part.strip() for part in text.splitlines() if part.strip())
    return "".join(c if c.isprintable() or c == " " else ascii(c)[1:-1] for c in joined)


def escape_name(name: str) -> str:
    r"""Return a file name as one printable line, with line breaks as `\n`."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: "1 box", "2 boxes", "0 figures"."""
    ending = "" if count == 1 else "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{count} {noun}{ending}"


def say(text: str) -> None:
    """Print a result on stdout; a reader that has gone (`| head -1`) is no fault."""
    try:
        sys.stdout.write(text + "\n")
    except BrokenPipeError:
        forget_stdout()


def say_table(table: Any) -> None:
    """Print a rich table on stdout, in a pipe so wide that nothing is cut."""
    from rich.console import Console

    console = Console()
    console = console if console.is_terminal else Console(width=160)
    with console.capture() as written:
        console.print(table)
    say(written.get().rstrip("\n"))


def forget_stdout() -> None:
    """Send what is still printed on stdout nowhere: its reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def flush_stdout() -> None:
    """Write out what was printed; raise `OSError` if it cannot be, unless its reader has gone."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        forget_stdout()
    except OSError:
        forget_stdout()  # or Python would try again at its end, and fail with a traceback
        raise


def say_json(value: Any) -> None:
    """Print a result as JSON on stdout."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Print a remark on stderr, unless `--quiet`."""
    if not SESSION.quiet:
        sys.stderr.write(one_line(text) + "\n")


def warn(text: str) -> None:
    """Print a warning on stderr: something was done in another way than asked."""
    sys.stderr.write(f"warning: {one_line(text)}\n")


def fail(text: str) -> None:
    """Print an error on stderr as one line."""
    sys.stderr.write(f"error: {one_line(text)}\n")


def exit_code(done: int, failed: int) -> int:
    """Return the exit code of a verb that finished `done` inputs and failed on `failed`."""
    if not failed:
        return ALL_DONE if done else NOTHING_DONE
    return SOME_FAILED if done else NOTHING_DONE


def finish(done: int, failures: Sequence[tuple[str, str]] = ()) -> NoReturn:
    """Print one error line per failed input `(name, reason)` and leave with the right exit code.

    `done` counts the inputs whose results are written.
    """
    _tell_failures(failures)
    raise typer.Exit(exit_code(done, len(failures)))


def finish_stopped(line: str, failures: Sequence[tuple[str, str]] = ()) -> NoReturn:
    """Print what failed, then the line that says how far a stopped verb came; leave with 1."""
    _tell_failures(failures)
    fail(line)
    raise typer.Exit(STOPPED)


def _tell_failures(failures: Sequence[tuple[str, str]]) -> None:
    for name, reason in failures:
        named = escape_name(name) in reason or name in reason
        fail(reason if named else f"{escape_name(name)}: {reason}")


@contextmanager
def progress_bar(title: str) -> Iterator[OnProgress]:
    """Give an `on_progress` that draws a bar with ETA on stderr.

    Nothing is drawn when stderr is no terminal or with `--quiet`.
    """
    if SESSION.quiet or not sys.stderr.isatty():
        yield ignore
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        _left_column(),
        TextColumn("{task.fields[message]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task(title, total=None, message="", left_s=None)

        def show(progress: Progress) -> None:
            bar.update(
                row,
                completed=progress.done,
                total=progress.total,
                message=progress.message[:60],
                left_s=progress.left_s,
            )

        yield show


def _left_column() -> Any:
    """Return the column of the time left: of work that knows it, what it says, else by its pace."""
    from rich.progress import Task, TimeRemainingColumn
    from rich.text import Text

    class LeftColumn(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            left = task.fields["left_s"]
            if left is None:
                return super().render(task)
            return Text(str(timedelta(seconds=round(left))), "progress.remaining")

    return LeftColumn()


@contextmanager
def stop_on_interrupt() -> Iterator[ShouldStop]:
    """Give a `should_stop` that turns true at the first Ctrl+C or SIGTERM.

    Long verbs use it to leave their output in order. The second signal interrupts at once.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        if sys.stderr.isatty() and not SESSION.quiet:
            # not through sys.stderr: the signal may have come in the middle of a write to it
            os.write(2, b"Stopping at the next step; press Ctrl+C again to stop at once.\n")

    with _answer_signals(ask):
        yield asked.is_set


@contextmanager
def interrupt_on_terminate() -> Iterator[None]:
    """Let SIGTERM do what Ctrl+C does: end the command in order, with a line."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _answer_signals(interrupt, signal.SIGTERM):
        yield


@contextmanager
def _answer_signals(answer: Callable[[int, Any], None], *numbers: signal.Signals) -> Iterator[None]:
    """Answer signals (by default SIGINT and SIGTERM) in this block with `answer`."""
    chosen = numbers or (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, answer) for number in chosen}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
