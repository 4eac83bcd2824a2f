"""Which of up to a million rows is in which group, and the edits of that: what is, and undo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_medssl.state.history import Edit, History
from napari_medssl.state.point_group import NO_GROUP, NONE, GroupEdit, Ids, PointGroup
from napari_medssl.state.row_selection import Mask, Rows

_STEPS = 200
_MOST_BYTES = 256 * 2**20
"""Memory that the rows of edits may take; the oldest are forgotten beyond it."""


class GroupedRows:
    """The groups of N rows, to look at, to undo and to replay; `PointGroups` edits them.

    Each row is in one group or in none: id 0 (`NONE`), which is listed among the groups, is called
    "none", can be coloured and hidden, but neither renamed nor deleted. Other ids are never used
    twice. Arrays that were handed out never change.

    Parameters
    ----------
    count
        Number of rows, N; at first all are in no group.

    Attributes
    ----------
    changed
        Emitted with `(kind, edit)` once per change: kind is "do", "undo", "redo", "begin" (there is
        nothing to undo from here on) or "extend" (rows were added; the edit is empty), edit the
        `GroupEdit` that was applied.
    history
        The edits, for the names of undo and redo.
    """

    changed = Signal(str, object)

    def __init__(self, count: int) -> None:
        if count < 0:
            raise ValueError(f"count is {count!r}, must be 0 or more")
        self.history: History[PointGroup] = History(_STEPS)
        self._ids = _frozen(np.full(count, NONE, np.int32))
        self._groups: dict[int, PointGroup] = {NONE: NO_GROUP}
        self._next_id = 1
        self._counts: NDArray[np.int64] | None = None

    # -- what there is ---------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Number of rows, N."""
        return len(self._ids)

    @property
    def ids(self) -> Ids:
        """Group of each row, int32, shape (N,), read-only."""
        return self._ids

    @property
    def groups(self) -> dict[int, PointGroup]:
        """The groups by id, `NONE` first; a copy."""
        return {key: self._groups[key] for key in sorted(self._groups)}

    @property
    def next_id(self) -> int:
        """The id that the next group will get."""
        return self._next_id

    def __getitem__(self, key: int) -> PointGroup:
        return self._groups[key]

    def __contains__(self, key: int) -> bool:
        return key in self._groups

    def counts(self) -> dict[int, int]:
        """Return how many rows each group has, by id."""
        if self._counts is None:
            self._counts = np.bincount(self._ids, minlength=self._next_id)
        return {key: int(self._counts[key]) for key in sorted(self._groups)}

    def id_of(self, name: str) -> int | None:
        """Return the id of the group of that name, None if there is none."""
        found = (key for key, group in self._groups.items() if group.name == name)
        return next(found, None)

    def rows_of(self, key: int) -> Rows:
        """Return the rows of a group, in order."""
        return np.flatnonzero(self._ids == key)

    def colors(self) -> NDArray[np.uint8]:
        """Return the colour of every row's group, uint8 RGB, shape (N, 3)."""
        table = np.zeros((self._next_id, 3), np.uint8)
        for key, group in self._groups.items():
            table[key] = group.color
        return table.take(self._ids, axis=0)

    def shown(self) -> Mask:
        """Return which rows are of groups that are shown, shape (N,)."""
        table = np.zeros(self._next_id, bool)
        table[[key for key, group in self._groups.items() if group.is_shown]] = True
        return table[self._ids]

    def names(self) -> NDArray[Any]:
        """Return the name of every row's group, "" for none: texts, shape (N,)."""
        table = np.full(self._next_id, "", object)
        for key, group in self._groups.items():
            table[key] = "" if key == NONE else group.name
        return table[self._ids]

    # -- undo ------------------------------------------------------------------------------------

    def undo(self) -> GroupEdit | None:
        """Take the last edit back; return what was applied, None if there was nothing to undo."""
        return self._walk("undo")

    def redo(self) -> GroupEdit | None:
        """Bring the last undone edit back; None if there was nothing to redo."""
        return self._walk("redo")

    def extend(self, count: int, ids: Ids | None = None) -> None:
        """Have `count` rows from now on. No entry of the history.

        Parameters
        ----------
        count
            Not fewer than there are.
        ids
            Groups of the added ones; None for none.
        """
        added = count - self.count
        if added < 0:
            raise ValueError(f"{count} rows came, there are {self.count} already")
        fresh = np.full(added, NONE, np.int32) if ids is None else ids
        self._ids = _frozen(np.concatenate([self._ids, fresh]))
        self._counts = None
        self.changed.emit("extend", GroupEdit("extend"))

    # -- for the journal -------------------------------------------------------------------------

    def replay(self, kind: str, edit: GroupEdit | None = None) -> None:
        """Repeat what `changed` told, with no event: for a journal that is read again.

        Parameters
        ----------
        kind
            "do", with its edit, "undo" or "redo".
        """
        if kind == "do" and edit is not None:
            self._push(edit)
            self._apply(edit)
            return
        again = self.history.undo() if kind == "undo" else self.history.redo()
        if again is not None:
            self._apply(_with_rows(again))

    def restore(
        self, ids: Ids, groups: Mapping[int, PointGroup], history: History[PointGroup], next_id: int
    ) -> None:
        """Put back what a journal holds, with no event.

        Raises
        ------
        ValueError
            If a row is in a group that there is not.
        """
        every = {NONE: NO_GROUP, **groups}
        if ids.shape != self._ids.shape or not np.isin(np.unique(ids), list(every)).all():
            raise ValueError(f"ids {ids.shape} do not fit {self.count} rows and the groups")
        self._ids, self._counts = _frozen(np.array(ids, np.int32)), None
        self._groups, self.history = every, history
        self._next_id = max(next_id, 1 + max(every))

    def copied(self) -> GroupedRows:
        """Return these groups with their history, which later edits of these do not change."""
        made = GroupedRows(0)
        made._ids, made._groups, made._next_id = self._ids, dict(self._groups), self._next_id
        edits = list(self.history.edits)
        made.history = History.of(edits, self.history.position, self.history.limit)
        return made

    @property
    def is_whole(self) -> bool:
        """True if the group of every row is there."""
        return bool(np.isin(np.unique(self._ids), [*self._groups]).all())

    def mend(self) -> None:
        """Put rows whose group is not there into none, and forget the history, with no event."""
        self._ids = _frozen(np.where(np.isin(self._ids, [*self._groups]), self._ids, NONE))
        self._counts, self.history = None, History(_STEPS)

    # -- inside ----------------------------------------------------------------------------------

    def _change(self, edit: GroupEdit) -> None:
        """Make an edit, remember and tell it; an empty one is none."""
        if edit.is_empty:
            return
        self._push(edit)
        self._apply(edit)
        self.changed.emit("do", edit)

    def _begin(self, edit: GroupEdit) -> None:
        """Make an edit that undo does not take back, nor any before it; tell it."""
        self.history = History(self.history.limit)
        self._apply(edit)
        self.changed.emit("begin", edit)

    def _walk(self, kind: str) -> GroupEdit | None:
        found = self.history.undo() if kind == "undo" else self.history.redo()
        if found is None:
            return None
        edit = _with_rows(found)
        self._apply(edit)
        self.changed.emit(kind, edit)
        return edit

    def _push(self, edit: GroupEdit) -> None:
        self.history.push(edit)
        self.history = lightened(self.history, _MOST_BYTES)

    def _apply(self, edit: GroupEdit) -> None:
        for key in edit.removed:
            self._groups.pop(key, None)
        self._groups.update(edit.after)
        self._next_id = max(self._next_id, 1, *(key + 1 for key in edit.after))
        self._counts = None
        if len(edit.rows):
            ids = self._ids.copy()
            ids[edit.rows] = edit.ids_after
            self._ids = _frozen(ids)


def lightened(history: History[PointGroup], most_bytes: int) -> History[PointGroup]:
    """Return a history without the oldest edits beyond so much memory; the same if it is light."""
    weights = [_with_rows(edit).weight_bytes for edit in history.edits]
    dropped, total = 0, sum(weights)
    while total > most_bytes and dropped < min(history.position, len(weights) - 1):
        total -= weights[dropped]
        dropped += 1
    if not dropped:
        return history
    return History.of(list(history.edits[dropped:]), history.position - dropped, history.limit)


def _with_rows(edit: Edit[PointGroup]) -> GroupEdit:
    return edit if isinstance(edit, GroupEdit) else GroupEdit(edit.name, edit.before, edit.after)


def _frozen(ids: Ids) -> Ids:
    ids.setflags(write=False)
    return ids
