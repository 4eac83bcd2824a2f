"""One process at a time in a project folder.

The operating system holds the lock and lets go of it when the process ends, however it ends, so a
lock can not go stale. The file tells the person who else has the project open.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import IO

from napari_medssl._errors import UserError

# Windows locks a region, not a file: one far behind the text, which stays readable.
_REGION = 1 << 30


def _lock(stream: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        stream.seek(_REGION)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """Hold a folder for this process until `release`.

    Parameters
    ----------
    path
        The lock file in the folder; made if missing.
    noun
        What the folder is, for a person.

    Raises
    ------
    UserError
        If another process, or another part of this one, holds it; or it can not be written.
    """

    def __init__(self, path: Path, noun: str = "project") -> None:
        self.path = path
        try:
            self._stream: IO[bytes] | None = path.open("a+b")
        except OSError as error:
            raise UserError(
                f"Cannot write in {str(path.parent)!r}: {error.strerror}. "
                "Choose a folder that you may write to."
            ) from error
        try:
            _lock(self._stream)
        except OSError as error:
            holder = self._holder()
            self._stream.close()
            self._stream = None
            raise UserError(
                f"The {noun} {str(path.parent)!r} is open in another window or program{holder}. "
                "Close it there first."
            ) from error
        self._stream.truncate(0)
        content = {"pid": os.getpid(), "host": platform.node()}
        self._stream.write(json.dumps(content).encode())
        self._stream.flush()

    def _holder(self) -> str:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            data = json.loads(self.path.read_bytes())
            return f" (process {int(data['pid'])} on {data['host']})"
        return ""

    def release(self) -> None:
        """Let go; the file stays, empty, since deleting it would race with the next opener."""
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.truncate(0)
            self._stream.close()
            self._stream = None
