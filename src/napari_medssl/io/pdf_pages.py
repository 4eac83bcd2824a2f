"""Draw the pages of PDF files, with PDFium in a process beside ours (see `io.pdf_worker`)."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line

DPI = 150
"""Resolution that pages are drawn at, unless that makes them too large."""

MAX_PAGE_PIXELS = 25_000_000
"""Pixels of the largest drawn page: A2 at 150 dpi has 8.7 million."""

TIMEOUT_S = 8.0
"""Seconds for one page; an ordinary one takes a tenth of one."""

_START_TIMEOUT_S = 60.0
_MAX_SIDE = 12_000
_MAX_PAGES = 10_000


def count_pdf_pages(path: Path) -> int:
    """Return how many pages the file at `path` has, 10000 at most."""
    return min(int(_ask(path, None)[0]["pages"]), _MAX_PAGES)


def read_pdf(path: Path, page: int) -> NDArray[np.uint8]:
    """Return page `page` (from 1) as uint8 RGB on white, shape (Y, X, 3)."""
    answer, data = _ask(path, page, draw=True)
    height, width = int(answer["height"]), int(answer["width"])
    rows = np.frombuffer(data, np.uint8).reshape(height, int(answer["row"]))
    pixels = rows[:, : 4 * width].reshape(height, width, 4)
    return np.ascontiguousarray(pixels[..., :3])


def pdf_size(path: Path, page: int) -> tuple[int, int]:
    """Return width and height in pixels that `read_pdf` gives."""
    answer, _ = _ask(path, page)
    return int(answer["width"]), int(answer["height"])


def _ask(path: Path, page: int | None, *, draw: bool = False) -> tuple[dict[str, Any], bytes]:
    """Return the worker's answer about a page (None: the document), or raise `UserError`."""
    request = {
        "path": str(path.resolve()),
        "page": page,
        "draw": draw,
        "dpi": DPI,
        "max_pixels": MAX_PAGE_PIXELS,
        "max_side": _MAX_SIDE,
    }
    try:
        answer, data = _worker.ask(request, TIMEOUT_S)
    except _LostError as lost:
        raise UserError(f"Cannot read {path.name!r}: {lost}. Save the page as a picture.") from lost
    if "error" in answer:
        reason = one_line(Exception(answer["error"]))
        hint = " It needs a password: save it without." if "password" in reason.lower() else ""
        raise UserError(f"Cannot read {path.name!r}: not a sound PDF file ({reason}).{hint}")
    if page is not None and "width" not in answer:
        raise UserError(f"Cannot read page {page} of {path.name!r}: it has {answer['pages']}.")
    return answer, data


class _LostError(Exception):
    """The worker gave no answer; the text says why."""


class _Worker:
    """The process that draws, started with the first page and again after a death."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, request: dict[str, Any], timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """Return answer and pixels; raise `_LostError` if none came in time or the worker died."""
        with self._lock:
            process = self._running()
            deadline = _Deadline(process, timeout_s)
            try:
                with deadline:
                    return _exchange(process, request)
            except (OSError, ValueError) as error:
                why = f"drawing it takes more than {timeout_s:g} s"
                if not deadline.passed:
                    why = "drawing it takes too much memory, or breaks the PDF library"
                raise _LostError(why) from error
            finally:
                if deadline.passed or sys.exc_info()[0] is not None:
                    self._drop(process)  # what it may still say would answer the next question

    def close(self) -> None:
        """End the worker, if this process started it."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            with process:
                process.kill()

    def _drop(self, process: subprocess.Popen[bytes]) -> None:
        with process:  # closes the pipes and waits
            process.kill()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        # A forked child has a copy of the pipes of its parent, and must not talk into them.
        alive = self._process is not None and self._owner == os.getpid()
        if alive and self._process is not None and self._process.poll() is None:
            return self._process
        self._process, self._owner = _start(), os.getpid()
        return self._process


class _Deadline:
    """Kills a process when the block takes too long: its pipe then ends, and the reader wakes."""

    def __init__(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        self._process = process
        self._timer = threading.Timer(timeout_s, self._end)
        self._timer.daemon = True
        self.passed = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()  # `passed` is settled from here on

    def _end(self) -> None:
        self.passed = True
        self._process.kill()


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", str(Path(__file__).with_name("pdf_worker.py"))]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise UserError(f"Cannot start the PDF reader: {one_line(error)}.") from error
    with _Deadline(process, _START_TIMEOUT_S):
        ready = process.stdout.readline() if process.stdout else b""
    if ready != b"ready\n":
        with process:
            process.kill()
        raise UserError("Cannot start the PDF reader. Install it again: pip install pypdfium2.")
    return process


def _exchange(
    process: subprocess.Popen[bytes], request: dict[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """Send a request, return the answer; ValueError or OSError if the worker dies over it."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("no pipes")
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())  # an empty line, at its death, is no JSON
    data = process.stdout.read(answer["bytes"])
    if len(data) != answer["bytes"]:
        raise ValueError("cut off")
    return answer, data


_worker = _Worker()
atexit.register(_worker.close)
