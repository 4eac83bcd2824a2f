"""Carry groups over to the rows of a source that has changed, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_medssl.state.history import History
from napari_medssl.state.point_group import NONE, GroupEdit, Ids
from napari_medssl.state.point_groups import PointGroups


@dataclass(frozen=True, slots=True)
class Carried:
    """How the rows of a source are to those that the folder knew.

    Attributes
    ----------
    known
        How many have their groups from it.
    added
        How many it did not know: they are in no group.
    absent
        How many it knows that are not in the source; their groups are kept.
    """

    known: int = 0
    added: int = 0
    absent: int = 0


def carry_over(
    old: PointGroups,
    old_names: tuple[str, ...],
    absent: Mapping[str, int],
    names: tuple[str, ...],
) -> tuple[PointGroups, dict[str, int], Carried]:
    """Return groups of these rows, those of the rows that are not there, and how many are which.

    Parameters
    ----------
    old
        Groups of the rows `old_names`; undo goes on for the rows that are still there.
    absent
        Group of each row that was not there before, by name.
    names
        The rows as they are now.
    """
    if names == old_names:
        return old, dict(absent), Carried(len(names), 0, len(absent))
    number_of = {name: number for number, name in enumerate(names)}
    places = np.array([number_of.get(name, -1) for name in old_names], np.int32)
    ids = np.full(len(names), NONE, np.int32)
    ids[places[places >= 0]] = old.ids[places >= 0]
    gone = dict(absent)
    gone |= {old_names[row]: int(old.ids[row]) for row in np.flatnonzero(places < 0)}
    back = gone.keys() & number_of.keys()
    for name in back:
        key = gone.pop(name)
        ids[number_of[name]] = key if key in old else NONE  # its group may be gone since
    history = History.of(
        [_moved(edit, places) for edit in old.history.edits if isinstance(edit, GroupEdit)],
        old.history.position,
        old.history.limit,
    )
    groups = PointGroups(len(names))
    groups.restore(ids, old.groups, history, old.next_id)
    known = int((places >= 0).sum()) + len(back)
    return groups, gone, Carried(known, len(names) - known, len(gone))


def _moved(edit: GroupEdit, places: Ids) -> GroupEdit:
    """Return an edit for rows in another order.

    Parameters
    ----------
    places
        Where each row is now, -1 for nowhere.
    """
    rows = places[edit.rows]
    kept = np.flatnonzero(rows >= 0)
    kept = kept[np.argsort(rows[kept], kind="stable")]
    before, after = edit.ids_before[kept], edit.ids_after[kept]
    return GroupEdit(edit.name, edit.before, edit.after, rows[kept], before, after)
