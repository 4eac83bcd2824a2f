"""Read anywhere in a gzip file without beginning anew: places to go on from are kept on the way.

We differ from `gzip.GzipFile` in that a step back costs a few megabytes, not all that lies before.
A place is the state of the decoder there, some 45 KB; `Places` may be handed to the next reader of
the same file, also in another thread.
"""

from __future__ import annotations

import threading
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, BinaryIO

_LEAST_STEP = 2**22  # unpacked bytes from place to place
_MOST_PLACES = 128
_PACKED = 2**16  # bytes read from the file at a time
_GZIP = 31  # window bits of zlib that mean gzip, whose sums it checks at the end


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to go on: unpacked and packed bytes before it, and the decoder, which is copied."""

    at: int
    packed: int
    decoder: Any


class Places:
    """Places of a file in order, the first at its beginning; used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places = [_Place(0, 0, zlib.decompressobj(_GZIP))]
        self._step = _LEAST_STEP

    def expect(self, length: int) -> None:
        """Take in how long the file is, unpacked: of a long one places lie further apart."""
        self._step = max(_LEAST_STEP, length // _MOST_PLACES)

    def before(self, at: int) -> _Place:
        """Return the last place that is not beyond `at`."""
        with self._lock:
            return self._places[bisect_right(self._places, at, key=lambda one: one.at) - 1]

    def keep(self, at: int, packed: int, decoder: Any) -> None:
        """Keep a place if it lies a step beyond the last one."""
        with self._lock:
            if at >= self._places[-1].at + self._step:
                self._places.append(_Place(at, packed, decoder.copy()))


class PackedReader:
    """What a gzip file unpacks to; as a file that is read.

    Parameters
    ----------
    file
        Open for reading; it is not closed here.
    places
        Of the same file, from an earlier reader; filled further.
    """

    def __init__(self, file: BinaryIO, places: Places | None = None) -> None:
        self._file = file
        self.places = places or Places()
        self._at, self._rest = 0, b""
        self._decoder: Any = None
        self._go_to(0)

    def close(self) -> None:
        """Let go of the decoder."""
        self._decoder, self._rest = None, b""

    def seek(self, at: int) -> None:
        """Let the next `read` begin at an unpacked byte."""
        place = self.places.before(at)
        if at < self._at or place.at > self._at:
            self._go_to(at)
        while self._at < at and self._unpack(min(at - self._at, _LEAST_STEP)):
            pass

    def read(self, length: int) -> bytes:
        """Return the next bytes, fewer where the file ends.

        Raises
        ------
        EOFError
            If it is cut off.
        zlib.error
            If it is damaged.
        """
        parts = []
        while length > 0:
            part = self._unpack(min(length, _LEAST_STEP))
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _go_to(self, at: int) -> None:
        place = self.places.before(at)
        self._file.seek(place.packed)
        self._at, self._decoder, self._rest = place.at, place.decoder.copy(), b""

    def _unpack(self, most: int) -> bytes:
        """Return the next bytes, at least one; none at the end."""
        while True:
            if self._decoder.eof and not self._begin_member():
                return b""
            packed = self._rest or self._more()
            if not packed:
                raise EOFError("it ends before its end was packed")
            part: bytes = self._decoder.decompress(packed, most)
            self._rest = self._decoder.unconsumed_tail
            if part:
                self._at += len(part)
                if not self._decoder.eof:
                    before = self._file.tell() - len(self._rest)
                    self.places.keep(self._at, before, self._decoder)
                return part

    def _begin_member(self) -> bool:
        """Go on with the next member of the file, which zeros may precede; False at the end."""
        self._rest = self._decoder.unused_data.lstrip(b"\0")
        while not self._rest:
            more = self._more()
            if not more:
                return False
            self._rest = more.lstrip(b"\0")
        self._decoder = zlib.decompressobj(_GZIP)
        return True

    def _more(self) -> bytes:
        return self._file.read(_PACKED)
