"""What every verb prints: results on stdout; all else on stderr, one whole line each.

Lines are written raw, never through a wrapping console: a file name of 300 characters stays
whole, so that it can be copied. Exit codes: 0 all done, 1 some inputs failed and the others are
written, 2 wrong usage or nothing done, 130 interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import typer

from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore

ALL_DONE = 0
SOME_FAILED = 1
NOTHING_DONE = 2
INTERRUPTED = 130


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


def say(text: str) -> None:
    """Print a result on stdout."""
    sys.stdout.write(text + "\n")


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
    for name, reason in failures:
        named = escape_name(name) in reason or name in reason
        fail(reason if named else f"{escape_name(name)}: {reason}")
    raise typer.Exit(exit_code(done, len(failures)))


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
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[message]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task(title, total=None, message="")

        def show(progress: Progress) -> None:
            bar.update(
                row, completed=progress.done, total=progress.total, message=progress.message[:60]
            )

        yield show


@contextmanager
def stop_on_interrupt() -> Iterator[ShouldStop]:
    """Give a `should_stop` that turns true at the first Ctrl+C; the second one interrupts at once.

    Long verbs use it to leave their output in order.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        note("Stopping at the next step; press Ctrl+C again to stop at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
