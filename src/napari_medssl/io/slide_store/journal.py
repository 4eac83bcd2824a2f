"""What an unfinished store holds so far: one line per shard, with the hash of its file.

Stores of slides and indexes of tiles keep the same journal. The first line names the format; that
of a store says which slide, which settings and which shards. A line is on the disk before its
shard counts, and after the shard itself is.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from napari_medssl.io.files import write_whole
from napari_medssl.io.journal_lines import Record, cut_torn_tail, encode, read_journal

FORMAT = "medssl-slide-store-1"
JOURNAL = "journal.jsonl"

_HASH_BYTES = 32
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Receipt:
    """Size in bytes of a file and its BLAKE2b hash of 256 bits, in hexadecimal."""

    size: int
    blake2b: str

    @classmethod
    def of_bytes(cls, data: bytes) -> Receipt:
        """Return the receipt of what is to be written."""
        return cls(len(data), hashlib.blake2b(data, digest_size=_HASH_BYTES).hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Receipt:
        """Return the receipt of a file; `OSError` if it cannot be read."""
        digest, size = hashlib.blake2b(digest_size=_HASH_BYTES), 0
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
        return cls(size, digest.hexdigest())

    @classmethod
    def from_json(cls, value: Any) -> Receipt:
        """Return what `to_json` wrote; ValueError if it is something else."""
        if not isinstance(value, Mapping):
            raise ValueError(f"{value!r} is no receipt")
        size, digest = value.get("size"), value.get("blake2b")
        if not (isinstance(size, int) and isinstance(digest, str) and size >= 0):
            raise ValueError(f"{value!r} is no receipt")
        return cls(size, digest)

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in journals and manifests."""
        return {"size": self.size, "blake2b": self.blake2b}


@dataclass(frozen=True)
class Written:
    """What a journal tells: its first line, and the receipt of each shard by its key."""

    header: Record
    receipts: dict[str, Receipt]


def read_written(folder: Path, form: str = FORMAT) -> Written | None:
    """Return what the journal in `folder` tells, None if there is none of the format `form`."""
    records = read_journal(folder / JOURNAL).records
    if not records or records[0].get("format") != form:
        return None
    receipts = {}
    for record in records[1:]:
        try:
            receipts[str(record["shard"])] = Receipt.from_json(record)
        except (KeyError, ValueError):
            continue  # that shard is then made again
    return Written(records[0], receipts)


def begin_journal(
    folder: Path,
    header: Mapping[str, Any],
    receipts: Mapping[str, Receipt] | None = None,
    *,
    form: str = FORMAT,
) -> None:
    """Write a journal with its first line, which names the format, and those of `receipts`."""
    lines = [encode({"format": form, **header})]
    for key, receipt in (receipts or {}).items():
        lines.append(_line(key, receipt))
    write_whole(folder / JOURNAL, b"".join(lines))


class StoreJournal:
    """Append to the journal in `folder` from any thread; use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._lock = threading.Lock()
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> Self:
        cut_torn_tail(self._path)
        self._stream = self._path.open("ab", buffering=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def add(self, key: str, receipt: Receipt) -> None:
        """Note that a shard is on the disk; returns when the note is too."""
        line = _line(key, receipt)
        with self._lock:
            if self._stream is None:
                raise RuntimeError("the journal is closed")
            view = memoryview(line)
            while view:
                view = view[self._stream.write(view) or 0 :]
            os.fsync(self._stream.fileno())


def _line(key: str, receipt: Receipt) -> bytes:
    return encode({"shard": key, **receipt.to_json()})
