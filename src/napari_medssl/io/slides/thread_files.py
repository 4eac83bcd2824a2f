"""Read one file from many threads at once, and close it under none of them."""

from __future__ import annotations

import os
import threading
import weakref
from io import FileIO
from pathlib import Path

from napari_medssl._errors import UserError


class FilePerThread:
    """A file that threads read from at once, each through a handle of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = threading.local()
        self._all: weakref.WeakSet[_LockedFile] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._is_closed = False

    def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`; `OSError` if there are fewer or the file is gone."""
        file: _LockedFile | None = getattr(self._mine, "file", None)
        if file is None or file.process != os.getpid():  # a fork shares places in files
            with self._lock:
                if self._is_closed:
                    raise UserError(f"The slide {self._path.name!r} is closed: open it again.")
                file = self._mine.file = _LockedFile(self._path)
                self._all.add(file)
        try:
            return file.read(offset, count)
        except OSError:
            # A handle to a disk that was unplugged is dead for good: the next read opens anew.
            self._mine.file = None
            file.close()
            raise

    def close(self) -> None:
        """Close the handles of all threads, each after its running read."""
        with self._lock:
            self._is_closed = True
            for file in list(self._all):
                file.close()


class _LockedFile:
    """A file handle that is not closed under a read."""

    def __init__(self, path: Path) -> None:
        self.process = os.getpid()
        self._name = path.name
        self._file = FileIO(path, "rb")
        self._lock = threading.Lock()

    def read(self, offset: int, count: int) -> bytes:
        with self._lock:
            if self._file.closed:
                raise UserError(f"The slide {self._name!r} is closed: open it again.")
            self._file.seek(offset)
            data = self._file.read(count)
            while len(data) < count:
                more = self._file.read(count - len(data))
                if not more:
                    raise OSError(f"{len(data)} bytes instead of {count}")
                data += more
            return data

    def close(self) -> None:
        with self._lock:
            self._file.close()
