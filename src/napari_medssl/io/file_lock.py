"""One process at a time: a lock that the operating system lets go of when its holder ends.

It cannot go stale, however the process ends. The file tells a person who holds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from napari_medssl._errors import UserError

# Windows locks a region, not a file: one far behind the text, which stays readable.
_REGION = 1 << 30
_TRIES = 100


class LockHeldError(OSError):
    """Somebody else holds the lock; `holder` says who, such as " (process 7 on ward-3)"."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by another program{holder}")
        self.holder = holder


class FileLock:
    """Hold the file at `path`, which is made, until `release`.

    Raises
    ------
    LockHeldError
        If another process, or another part of this one, holds it.
    OSError
        If the file cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[bytes] | None = _locked(path)
        self._stream.truncate(0)
        content = {"pid": os.getpid(), "host": platform.node()}
        self._stream.write(json.dumps(content).encode())
        self._stream.flush()

    def release(self, *, remove: bool = False) -> None:
        """Let go. The file stays, empty, unless it is to be removed; may be called twice."""
        if self._stream is None:
            return
        with contextlib.suppress(OSError):
            self._stream.truncate(0)
        if remove:
            # While it is held: who opens the removed file sees that it is no longer at `path`.
            with contextlib.suppress(OSError):
                self.path.unlink()
        self._stream.close()
        self._stream = None
        if remove and sys.platform == "win32":  # which removes no open file
            with contextlib.suppress(OSError):
                self.path.unlink()


@contextlib.contextmanager
def hold_lock(path: Path, busy: str, advice: str) -> Iterator[None]:
    """Hold the file at `path` in a block, or tell why not.

    Parameters
    ----------
    path
        The file, which is made and stays.
    busy
        What another program is at, such as "The library 'a' is being written".
    advice
        What to do where the file cannot be made.

    Raises
    ------
    UserError
        If another process, or another part of this one, holds it; or it cannot be written.
    """
    try:
        lock = FileLock(path)
    except LockHeldError as error:
        raise UserError(
            f"{busy} by another program{error.holder}. Wait for its end, or stop it there."
        ) from error
    except OSError as error:
        raise UserError(
            f"Cannot write in {str(path.parent)!r}: {error.strerror or error}. {advice}"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _locked(path: Path) -> IO[bytes]:
    """Return the file at `path`, locked, and surely the one that others will find there."""
    for _ in range(_TRIES):
        stream = path.open("a+b")
        try:
            _lock(stream)
        except OSError as error:
            stream.close()
            raise LockHeldError(_holder(path)) from error
        if _is_at(stream, path):
            return stream
        stream.close()  # its holder removed it between our opening and our locking it
    raise LockHeldError("")


def _lock(stream: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        stream.seek(_REGION)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(stream: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads(path.read_bytes())
        return f" (process {int(data['pid'])} on {data['host']})"
    return ""
