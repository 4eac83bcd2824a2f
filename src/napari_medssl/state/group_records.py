"""Groups of rows and their edits as records of a journal: JSON, with arrays packed into text."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_medssl.state.colors import check_color
from napari_medssl.state.grouped_rows import GroupedRows
from napari_medssl.state.history import History
from napari_medssl.state.journal import Record
from napari_medssl.state.point_group import GroupEdit, Ids, PointGroup

FORMAT = "napari-medssl groups"
VERSION = 1

_MOST_ROWS = 20_000_000
_MOST_IDS = 1_000_000  # there is a table of them
_MOST_TEXT = 2 * 2**30


def names_record(names: Sequence[str], content: str) -> Record:
    """Return what rows there are: their names, and the hash of the source they are of."""
    text = "\0".join(names).encode("utf-8", "surrogatepass")
    return {
        "kind": "rows",
        "format": FORMAT,
        "version": VERSION,
        "content": content,
        "count": len(names),
        "names": _text_of(text),
    }


def names_of(record: Record) -> tuple[str, ...]:
    """Return the names of a `names_record`; ValueError if it is none."""
    count = int(record["count"])
    if not 0 <= count <= _MOST_ROWS:
        raise ValueError(f"{count} rows")
    names = _bytes_of(record["names"], _MOST_TEXT).decode("utf-8", "surrogatepass").split("\0")
    if not count:
        return ()
    if len(names) != count:
        raise ValueError(f"{len(names)} names of {count} rows")
    return tuple(names)


def state_record(groups: GroupedRows, absent: Mapping[str, int], sequence: int) -> Record:
    """Return everything about the groups: ids, groups, history, and ids of rows not there now."""
    history = groups.history
    edits = [edit_json(one) for one in history.edits if isinstance(one, GroupEdit)]
    return {
        "kind": "state",
        "seq": sequence,
        "ids": _packed(groups.ids),
        "groups": _rows_of(groups.groups),
        "next_id": groups.next_id,
        "position": history.position,
        "edits": edits,
        "absent": names_record(tuple(absent), ""),
        "absent_ids": _packed(np.array([*absent.values()], np.int32)),
    }


def restore_state(groups: GroupedRows, record: Record) -> dict[str, int]:
    """Put what `state_record` gave into groups of as many rows; return the rows not there.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is none, or does not fit.
    """
    edits = [edit_of(one) for one in record["edits"]]
    if any(len(edit.rows) and edit.rows.max() >= groups.count for edit in edits):
        raise ValueError("edits of rows that there are not")
    next_id = int(record["next_id"])
    if next_id > _MOST_IDS:
        raise ValueError(f"next_id is {next_id}")
    groups.restore(
        _unpacked(record["ids"], groups.count),
        _groups_of(record["groups"]),
        History.of([*edits], int(record["position"]), groups.history.limit),
        next_id,
    )
    names = names_of(record["absent"])
    return dict(zip(names, _unpacked(record["absent_ids"], len(names)).tolist(), strict=True))


def edit_json(edit: GroupEdit) -> Record:
    """Return an edit as JSON values."""
    return {
        "name": edit.name,
        "before": _rows_of(edit.before),
        "after": _rows_of(edit.after),
        "count": len(edit.rows),
        "rows": _packed(np.diff(edit.rows, prepend=np.int32(0))),
        "ids_before": _packed(edit.ids_before),
        "ids_after": _packed(edit.ids_after),
    }


def edit_of(record: Mapping[str, Any]) -> GroupEdit:
    """Return the edit that `edit_json` gave.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is none.
    """
    count = int(record["count"])
    rows = np.cumsum(_unpacked(record["rows"], count), dtype=np.int64)
    if count and not 0 <= rows.min() <= rows.max() < _MOST_ROWS:
        raise ValueError("an edit of rows that there cannot be")
    return GroupEdit(
        str(record["name"]),
        _groups_of(record["before"]),
        _groups_of(record["after"]),
        rows.astype(np.int32),
        _unpacked(record["ids_before"], count),
        _unpacked(record["ids_after"], count),
    )


def _rows_of(groups: Mapping[int, PointGroup]) -> dict[str, list[Any]]:
    return {str(key): [one.name, [*one.color], one.is_shown] for key, one in groups.items()}


def _groups_of(rows: Mapping[str, Any]) -> dict[int, PointGroup]:
    found = {}
    for key, (name, color, is_shown) in rows.items():
        if not 0 <= int(key) < _MOST_IDS:
            raise ValueError(f"group {key!r}")
        found[int(key)] = PointGroup(str(name), check_color(color), bool(is_shown))
    return found


def _packed(values: Ids) -> str:
    """Return whole numbers as text."""
    return _text_of(np.ascontiguousarray(values, "<i4").tobytes())


def _unpacked(text: str, count: int) -> Ids:
    """Return so many whole numbers; ValueError if they are more or fewer."""
    data = _bytes_of(text, 4 * min(count, _MOST_ROWS))
    values = np.frombuffer(data, "<i4")
    if len(values) != count:
        raise ValueError(f"{len(values)} numbers came for {count}")
    return values.astype(np.int32)


def _text_of(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 1)).decode("ascii")


def _bytes_of(text: str, most: int) -> bytes:
    """Return what `_text_of` packed; ValueError if it is damaged or more than `most` bytes."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(base64.b64decode(text, validate=True), most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(data) > most or not unpacker.eof:
        raise ValueError("more data than there can be, or cut off")
    return data
