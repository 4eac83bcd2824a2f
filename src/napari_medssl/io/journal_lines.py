"""Lines of a journal: what was appended survives a kill of the process and a torn last line.

Each line is `length checksum json`: the number of bytes of the JSON text, its CRC-32 in
hexadecimal and the text. A line whose length or checksum is wrong is no record.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl.io.files import write_whole

Record = dict[str, Any]


def dump(value: Any) -> str:
    """Return a value as JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode(record: Record) -> bytes:
    """Return the line of a record, its newline included."""
    return line_of(dump(record))


def line_of(text: str) -> bytes:
    """Return the line of a record that is JSON already, in one line, its newline included."""
    body = text.encode("utf-8")
    return b"%d %08x %s\n" % (len(body), zlib.crc32(body), body)


def decode(line: bytes) -> Record | None:
    """Return the record of a line without its newline, None if the line is torn or damaged."""
    parts = line.split(b" ", 2)
    if len(parts) != 3:
        return None
    try:
        if int(parts[0]) != len(parts[2]) or int(parts[1], 16) != zlib.crc32(parts[2]):
            return None
        record = json.loads(parts[2])
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


@dataclass(frozen=True, slots=True)
class Replay:
    """What a journal file holds.

    `records` are the good ones in order. `is_torn` says that the last line was cut off, as a kill
    leaves it; `damaged` counts bad lines before the last, which no kill makes.
    """

    records: tuple[Record, ...] = ()
    is_torn: bool = False
    damaged: int = 0


def read_journal(path: Path) -> Replay:
    """Return the records of a journal file; none if there is no such file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Replay()
    *lines, rest = data.split(b"\n")
    decoded = [decode(line) for line in lines]
    last_is_bad = bool(decoded) and decoded[-1] is None
    records = tuple(record for record in decoded if record is not None)
    damaged = decoded.count(None) - int(last_is_bad)
    return Replay(records, bool(rest) or last_is_bad, damaged)


def cut_torn_tail(path: Path) -> None:
    """Cut off a last line without newline: what follows would be glued to it."""
    if not path.exists():
        write_whole(path, b"")
        return
    with path.open("rb+") as stream:
        data = stream.read()
        keep = data.rfind(b"\n") + 1
        if keep < len(data):
            stream.truncate(keep)
            os.fsync(stream.fileno())
