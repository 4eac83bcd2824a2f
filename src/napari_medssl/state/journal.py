"""Append-only journal: what was appended survives a kill of the process and a torn last line.

The lines are those of `io.journal_lines`. A thread writes and syncs, so that the caller (a GUI)
never waits for the disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from napari_medssl.io.files import write_whole
from napari_medssl.io.journal_lines import (
    Record,
    Replay,
    cut_torn_tail,
    decode,
    dump,
    encode,
    line_of,
    read_journal,
)

__all__ = [
    "Journal",
    "Record",
    "Replay",
    "decode",
    "dump",
    "encode",
    "line_of",
    "read_journal",
]

_RETRY_S = 1.0
_log = logging.getLogger(__name__)


class Journal:
    """Write records to the end of a file from a thread of its own.

    Parameters
    ----------
    path
        File to append to; made if missing. A torn last line is cut off first.

    Attributes
    ----------
    delay_s
        Longest time that a record may wait for others to be written with it; 0 writes at once.

    Notes
    -----
    `append` returns at once; the record is on disk after the next sync, a fraction of a second
    later. While the disk refuses (full, unplugged), records wait in memory, `error` says why,
    and the thread tries again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.delay_s = 0.0
        self._is_hurried = False
        self._pending: list[bytes | Callable[[], bytes]] = []
        self._condition = threading.Condition()
        self._error: str | None = None
        self._fault: str | None = None
        self._is_closing = False
        self._is_writing = False
        cut_torn_tail(path)
        self._stream = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    @property
    def error(self) -> str | None:
        """Why the last try to write failed, None if it did not."""
        return self._error or self._fault

    @property
    def pending(self) -> int:
        """How many appended records are not safely on disk yet."""
        with self._condition:
            return len(self._pending) + int(self._is_writing)

    def append(self, record: Record) -> None:
        """Hand over a record to be written; TypeError or ValueError if it is not JSON."""
        self._append(encode(record))

    def append_later(self, make_line: Callable[[], bytes]) -> None:
        """Hand over what makes a line (`line_of`); it is called in the thread of the journal."""
        self._append(make_line)

    def _append(self, line: bytes | Callable[[], bytes]) -> None:
        with self._condition:
            if self._is_closing:
                raise RuntimeError(f"journal {self.path.name!r} is closed")
            self._pending.append(line)
            self._condition.notify_all()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all is on disk; return False if that did not come about in time."""
        end = time.monotonic() + timeout_s
        with self._condition:
            self._is_hurried = True
            self._condition.notify_all()
            while self._pending or self._is_writing:
                if not self._condition.wait(max(0.0, end - time.monotonic())):
                    return not (self._pending or self._is_writing)
                if self._error is not None:
                    return False
        return True

    def compact(self, records: Iterable[Record] = ()) -> None:
        """Replace the file by these records, whole or not at all; UserError if that fails.

        What was on disk and is not among `records` is gone: the caller has it elsewhere.
        Records that are still waiting stay so and are written after these.
        """
        data = b"".join(encode(record) for record in records)
        with self._condition:
            while self._is_writing:
                self._condition.wait()
            self._stream.close()  # some systems refuse to replace an open file
            try:
                write_whole(self.path, data)
            finally:
                self._stream = self.path.open("ab", buffering=0)
                self._size = self.path.stat().st_size

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what is left and stop; return False if something could not be written."""
        is_saved = self.flush(timeout_s) and self._fault is None
        with self._condition:
            self._is_closing = True
            self._condition.notify_all()
        self._thread.join(timeout_s)
        self._stream.close()
        return is_saved

    def _write_all(self) -> None:
        while True:
            with self._condition:
                while not self._pending and not self._is_closing:
                    self._condition.wait()
                if not self._pending or (self._is_closing and self._error is not None):
                    return
                self._gather()
                batch, self._pending = self._pending, []
                self._is_writing, self._is_hurried = True, False
            lines = [line for line in map(self._made, batch) if line is not None]
            error = self._write(b"".join(lines))
            with self._condition:
                self._error = error
                self._is_writing = False
                if error is not None:
                    self._pending[:0] = lines
                self._condition.notify_all()
                if error is not None:
                    self._condition.wait(_RETRY_S)

    def _made(self, line: bytes | Callable[[], bytes]) -> bytes | None:
        """Return a line; one that cannot be made is a fault of ours and is told for good."""
        if isinstance(line, bytes):
            return line
        try:
            return line()
        except Exception as error:  # the thread must live on for the others
            _log.exception("a change cannot be written to the journal")
            self._fault = f"{type(error).__name__}: {error}"
            return None

    def _gather(self) -> None:
        """Let `delay_s` pass, in which more records may come; `flush` and `close` cut it short."""
        end = time.monotonic() + self.delay_s
        while not (self._is_hurried or self._is_closing):
            left = end - time.monotonic()
            if left <= 0:
                return
            self._condition.wait(left)

    def _write(self, data: bytes) -> str | None:
        """Append and sync; on failure cut the file back, so that a retry repeats nothing."""
        if not self.path.exists():  # some systems go on writing to a file that was deleted
            return f"{str(self.path)!r} was deleted or moved"
        try:
            view = memoryview(data)
            while view:
                view = view[self._stream.write(view) or 0 :]
            os.fsync(self._stream.fileno())
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError, ValueError):
                os.ftruncate(self._stream.fileno(), self._size)
            return str(error)
        self._size += len(data)
        return None
