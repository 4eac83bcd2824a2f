"""A folder of things that can be computed again, kept under a size limit.

A cache never stands in the way: where its folder cannot be written or a file is damaged, there is
nothing in it, and the work is done again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
import zlib
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_SUM_BYTES = 4


def file_key(path: Path, *more: object) -> str:
    """Return a key for what is computed from a file: it changes when the file does.

    Parameters
    ----------
    path
        The file.
    more
        What else the result depends on, such as a page, a size or a model's version.
    """
    about = path.stat()
    return "|".join(map(str, (path.resolve(), about.st_mtime_ns, about.st_size, *more)))


class DiskCache:
    """Bytes by key in a folder; those unused for longest go when it grows too large.

    Safe to use from several threads and processes.

    Parameters
    ----------
    folder
        Where the files lie; made when the first one is put.
    limit_bytes
        Size that the folder is trimmed to.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._lock = threading.Lock()
        # Trimmed at the first put: the limit may have been lowered since the last run.
        self._unchecked = limit_bytes

    def get(self, key: str) -> bytes | None:
        """Return what was put under `key`, None if it is not there or damaged."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        body = content[_SUM_BYTES:]
        if content[:_SUM_BYTES] != _checksum(body):
            with suppress(OSError):
                path.unlink()
            return None
        return body

    def put(self, key: str, body: bytes) -> None:
        """Keep `body` under `key`; what does not fit into the limit is not kept."""
        if len(body) > self._limit:
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
            # No fsync: a file cut by a power failure is found by its checksum.
            with os.fdopen(handle, "wb") as file:
                file.write(_checksum(body) + body)
            os.replace(temporary, path)
        except OSError as error:
            logger.warning("Nothing is cached in %s: %s", self._folder, error)
            return
        with self._lock:
            self._unchecked += len(body) + _SUM_BYTES
            is_due = self._unchecked > self._limit / 10
            if is_due:
                self._unchecked = 0
        if is_due:
            self._trim()

    def remove(self, key: str) -> None:
        """Remove what was put under `key`, if it is there."""
        with suppress(OSError):
            self._path(key).unlink()

    def clear(self) -> None:
        """Remove everything."""
        for _, _, path in self._files():
            with suppress(OSError):
                path.unlink()

    def size_bytes(self) -> int:
        """Return the size of all files."""
        return sum(size for _, size, _ in self._files())

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / name[:2] / name[2:]

    def _files(self) -> list[tuple[int, int, Path]]:
        """Return (time of last use in ns, size, path) of every file, oldest first."""
        found = []
        for path in self._folder.glob("??/*"):
            with suppress(OSError):  # another process may have removed it
                about = path.stat()
                found.append((about.st_mtime_ns, about.st_size, path))
        return sorted(found)

    def _trim(self) -> None:
        files = self._files()
        excess = sum(size for _, size, _ in files) - self._limit
        for _, size, path in files:
            if excess <= 0:
                return
            with suppress(OSError):
                path.unlink()
                excess -= size


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_SUM_BYTES, "little")
