"""Edits of a set of items (boxes, regions), and the list of them that undo and redo walk through.

An edit holds the items it touched as they were before and as they are after. It is therefore its
own inverse with the two sides exchanged, needs no code to be undone, and can be written to a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from napari_medssl.io.boxes import Box

T = TypeVar("T")
BoxRow = list[Any]


def box_to_row(box: Box) -> BoxRow:
    """Return the box as a JSON list: x0, y0, x1, y1, score, label, category."""
    return [box.x0, box.y0, box.x1, box.y1, box.score, box.label, box.category]


def box_from_row(row: BoxRow) -> Box:
    """Return the box of a list made by `box_to_row`.

    Raises
    ------
    ValueError
        If the row has not seven fields or a coordinate is not a number.
    """
    if not isinstance(row, list) or len(row) != 7:
        raise ValueError(f"a box row has 7 fields, got {row!r}")
    x0, y0, x1, y1 = (float(value) for value in row[:4])
    score = None if row[4] is None else float(row[4])
    return Box(x0, y0, x1, y1, score, str(row[5]), str(row[6]))


@dataclass(frozen=True, slots=True)
class Edit(Generic[T]):
    """One change of a set of items: `before` and `after` hold the items touched, by id.

    An id only in `after` was added, only in `before` removed, in both changed.
    """

    name: str
    before: Mapping[int, T] = field(default_factory=dict)
    after: Mapping[int, T] = field(default_factory=dict)

    @property
    def added(self) -> tuple[int, ...]:
        """Ids of the items that the edit made."""
        return tuple(key for key in self.after if key not in self.before)

    @property
    def removed(self) -> tuple[int, ...]:
        """Ids of the items that the edit took away."""
        return tuple(key for key in self.before if key not in self.after)

    @property
    def updated(self) -> tuple[int, ...]:
        """Ids of the items that the edit changed."""
        return tuple(key for key in self.after if key in self.before)

    @property
    def is_empty(self) -> bool:
        """True if nothing differs between the two sides."""
        return dict(self.before) == dict(self.after)

    def inverse(self) -> Edit[T]:
        """Return the edit that undoes this one."""
        return Edit(self.name, self.after, self.before)

    def to_json(self, encode: Callable[[T], Any]) -> dict[str, Any]:
        """Return the edit as JSON values, each item as `encode` gives it."""
        return {
            "name": self.name,
            "before": {str(key): encode(item) for key, item in self.before.items()},
            "after": {str(key): encode(item) for key, item in self.after.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], decode: Callable[[Any], T]) -> Edit[T]:
        """Return the edit that `to_json` wrote; ValueError or KeyError if it is none."""
        return cls(
            str(data["name"]),
            {int(key): decode(row) for key, row in data["before"].items()},
            {int(key): decode(row) for key, row in data["after"].items()},
        )


class History(Generic[T]):
    """The edits made so far and the place in them; at most `limit` are kept.

    Parameters
    ----------
    limit
        How many edits can be undone. The oldest are forgotten beyond it.
    """

    def __init__(self, limit: int = 1000) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit!r}, must be 1 or more")
        self.limit = limit
        self._edits: list[Edit[T]] = []
        self._position = 0

    def __len__(self) -> int:
        return len(self._edits)

    @property
    def position(self) -> int:
        """How many of the edits are in force; undo lowers it, redo raises it."""
        return self._position

    @property
    def edits(self) -> tuple[Edit[T], ...]:
        """All edits kept, oldest first, those undone included."""
        return tuple(self._edits)

    @property
    def undo_name(self) -> str | None:
        """Name of the edit that `undo` would take back, None if there is none."""
        return self._edits[self._position - 1].name if self._position else None

    @property
    def redo_name(self) -> str | None:
        """Name of the edit that `redo` would bring back, None if there is none."""
        return self._edits[self._position].name if self._position < len(self._edits) else None

    def push(self, edit: Edit[T]) -> None:
        """Add an edit that was just made; what had been undone can no longer be redone."""
        del self._edits[self._position :]
        self._edits.append(edit)
        del self._edits[: max(0, len(self._edits) - self.limit)]
        self._position = len(self._edits)

    def undo(self) -> Edit[T] | None:
        """Step back and return the edit to apply for it, None at the beginning."""
        if not self._position:
            return None
        self._position -= 1
        return self._edits[self._position].inverse()

    def redo(self) -> Edit[T] | None:
        """Step forward and return the edit to apply for it, None at the end."""
        if self._position == len(self._edits):
            return None
        self._position += 1
        return self._edits[self._position - 1]

    def to_json(self, encode: Callable[[T], Any]) -> dict[str, Any]:
        """Return the history as JSON values, each item as `encode` gives it."""
        edits = [edit.to_json(encode) for edit in self._edits]
        return {"position": self._position, "edits": edits}

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], decode: Callable[[Any], T], limit: int = 1000
    ) -> History[T]:
        """Return the history that `to_json` wrote; ValueError or KeyError if it is none."""
        edits = [Edit.from_json(item, decode) for item in data["edits"]]
        return cls.of(edits, int(data["position"]), limit)

    @classmethod
    def of(cls, edits: list[Edit[T]], position: int, limit: int = 1000) -> History[T]:
        """Return a history of these edits, so many of them in force; ValueError if that is none."""
        history = cls(limit)
        if not 0 <= position <= len(edits):
            raise ValueError(f"history position {position} is outside 0..{len(edits)}")
        dropped = max(0, position - limit)
        history._edits = edits[dropped : dropped + limit]
        history._position = position - dropped
        return history
