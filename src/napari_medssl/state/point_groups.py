"""The groups (clusters, classes) of rows as a person edits them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count as counted
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.color import Color
from napari_medssl.state.colors import check_color, group_colors
from napari_medssl.state.grouped_rows import GroupedRows
from napari_medssl.state.point_group import (
    NONE,
    NONE_NAME,
    GroupEdit,
    PointGroup,
    clean_group_name,
)
from napari_medssl.state.row_selection import Rows, mask_of


class PointGroups(GroupedRows):
    """The groups of N rows, open for editing; each edit is one entry of the history.

    An edit that changes nothing is none. KeyError where an id is no group's.
    """

    @classmethod
    def of_labels(cls, labels: NDArray[Any], names: Mapping[int, str] | None = None) -> PointGroups:
        """Return groups of labels, shape (N,); see `relabel`. That is no entry of the history."""
        groups = cls(len(labels))
        groups.begin(labels, names)
        return groups

    def begin(self, labels: NDArray[Any], names: Mapping[int, str] | None = None) -> None:
        """Begin with groups of labels, as `relabel` makes them: undo goes back to them, not beyond.

        For what no person did, such as the first k-means.
        """
        self._begin(self._of_labels(labels, names))

    def assign(self, which: Any, to: int | str) -> int:
        """Put rows into a group, into the one of that name, or into a new one; return its id.

        Parameters
        ----------
        which
            A mask of the rows, shape (N,), or their numbers.
        to
            Id of a group (`NONE` takes rows out of theirs), or a name.
        """
        rows = np.flatnonzero(mask_of(which, self.count))
        if isinstance(to, str):
            name = clean_group_name(to)
            found = self.id_of(name)
            if found is None:
                made = self._made([name])
                (key,) = made
                self._do(f"make {name}", made, rows, key)
                return key
            to = found
        self._do(f"assign to {self._groups[to].name}", {}, rows, to)
        return to

    def assign_names(self, which: Any, names: Sequence[str]) -> None:
        """Put rows into the groups of these names, which are made if missing; all in one edit.

        Parameters
        ----------
        which
            Numbers of rows, each once, shape (M,).
        names
            One for each of them, M; "" and "none" take a row out of its group.
        """
        rows = np.asarray(which, np.int64)
        if len(rows) != len(names) or mask_of(rows, self.count).sum() != len(rows):
            raise ValueError(f"{len(names)} names came for {len(rows)} rows, each due once")
        id_of = {"": NONE} | {group.name: key for key, group in self._groups.items()}
        called = {name: clean_group_name(name) if name else "" for name in dict.fromkeys(names)}
        missing = list(dict.fromkeys(name for name in called.values() if name not in id_of))
        made = self._made(missing)
        id_of |= {group.name: key for key, group in made.items()}
        ids = np.fromiter((id_of[called[name]] for name in names), np.int32, len(names))
        order = np.argsort(rows, kind="stable")
        self._do("assign to groups", made, rows[order], ids[order])

    def merge(self, keys: Iterable[int]) -> int:
        """Make one group of several: the first given stays, the others go; return its id."""
        keep, *others = self._own(keys)
        rows = np.flatnonzero(np.isin(self._ids, others))
        self._do(f"merge into {self[keep].name}", dict.fromkeys(others), rows, keep)
        return keep

    def split(self, key: int, sub_labels: NDArray[Any]) -> tuple[int, ...]:
        """Split a group; return the ids of its parts.

        Parameters
        ----------
        key
            Id of the group. Its largest part keeps id, name and colour, the others are new.
        sub_labels
            Part of each of its rows (`rows_of`), whole numbers, shape (M,).
        """
        self._own([key])
        rows, labels = self.rows_of(key), np.asarray(sub_labels)
        if labels.shape != rows.shape or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{labels.dtype} {labels.shape} came as parts of a group of {len(rows)} rows"
            )
        parts, part_of, sizes = _distinct(labels)
        if len(parts) < 2:
            return (key,)
        order = np.argsort(-sizes, kind="stable")
        name = self[key].name
        made = self._made(self._free_names(name, len(parts) - 1))
        new_ids = np.empty(len(parts), np.int32)
        new_ids[order] = [key, *made]
        self._do(f"split {name}", made, rows, new_ids[part_of])
        return (key, *made)

    def rename(self, key: int, name: str) -> None:
        """Give a group another name; UserError if it is taken, empty or too long."""
        self._own([key])
        name = clean_group_name(name)
        if self.id_of(name) not in (None, key):
            raise UserError(
                f"There is a group {name!r} already. Write another name, or merge the two."
            )
        self._set(f"rename {self[key].name}", {key: replace(self[key], name=name)})

    def recolor(self, key: int, color: Color) -> None:
        """Give a group another colour."""
        group = replace(self._groups[key], color=check_color(color))
        self._set(f"colour {group.name}", {key: group})

    def show(self, keys: Iterable[int]) -> None:
        """Show groups."""
        self._show(dict.fromkeys(keys, True), "show groups")

    def hide(self, keys: Iterable[int]) -> None:
        """Hide groups."""
        self._show(dict.fromkeys(keys, False), "hide groups")

    def show_only(self, keys: Iterable[int]) -> None:
        """Show these groups and hide all others."""
        wanted = set(keys)
        self._show({key: key in wanted for key in self._groups}, "show only some groups")

    def delete(self, keys: Iterable[int]) -> None:
        """Delete groups; their rows are in none then."""
        gone = self._own(keys)
        name = f"delete {self[gone[0]].name if len(gone) == 1 else f'{len(gone)} groups'}"
        self._do(name, dict.fromkeys(gone), np.flatnonzero(np.isin(self._ids, gone)), NONE)

    def relabel(self, labels: NDArray[Any], names: Mapping[int, str] | None = None) -> None:
        """Put groups of labels in the place of all there are.

        Parameters
        ----------
        labels
            Whole numbers, shape (N,); below 0 for none.
        names
            By label; "cluster 3" where there is none.
        """
        self._change(self._of_labels(labels, names))

    # -- inside ----------------------------------------------------------------------------------

    def _of_labels(self, labels: NDArray[Any], names: Mapping[int, str] | None) -> GroupEdit:
        given = np.asarray(labels)
        if given.shape != self._ids.shape or given.dtype.kind not in "iu":
            raise ValueError(f"{given.dtype} {given.shape} came as labels of {self.count} rows")
        found, place, _ = _distinct(given)
        kept = [int(label) for label in found if label >= 0]
        known = names or {}
        called = [clean_group_name(known.get(label, f"cluster {label}")) for label in kept]
        if len(set(called) | {NONE_NAME}) <= len(called):
            raise UserError(f"Two groups have one name, or one is called {NONE_NAME!r}: {called}.")
        made = self._made(called, afresh=True)
        new_ids = np.array([NONE] * (len(found) - len(kept)) + [*made], np.int32)
        gone = dict.fromkeys(key for key in self._groups if key != NONE)
        return self._edit("cluster", {**gone, **made}, np.arange(self.count), new_ids[place])

    def _own(self, keys: Iterable[int]) -> list[int]:
        """Return ids of groups that may be changed; UserError if none came, or `NONE` did."""
        chosen = list(dict.fromkeys(keys))
        if not chosen:
            raise UserError("No group came. Choose at least one.")
        if NONE in chosen:
            raise UserError(
                f"The rows in no group ({NONE_NAME!r}) can be coloured and hidden only. Assign "
                "them to a group first."
            )
        for key in chosen:
            self._groups[key]
        return chosen

    def _made(self, names: Sequence[str], *, afresh: bool = False) -> dict[int, PointGroup]:
        """Return new groups by id; their colours go on from those there are, or begin afresh."""
        taken = () if afresh else [group.color for group in self._groups.values()]
        colors = group_colors(taken, len(names))
        return {
            key: PointGroup(name, color)
            for key, (name, color) in enumerate(
                zip(names, colors, strict=True), start=self._next_id
            )
        }

    def _free_names(self, name: str, count: int) -> list[str]:
        """Return names for parts of a group: "cells 2", "cells 3" and so on."""
        taken = {group.name for group in self._groups.values()}
        found: list[str] = []
        for number in counted(2):
            if len(found) == count:
                break
            if f"{name} {number}" not in taken:
                found.append(f"{name} {number}")
        return found

    def _set(self, name: str, groups: Mapping[int, PointGroup]) -> None:
        self._do(name, groups, np.empty(0, np.int64), NONE)

    def _show(self, wanted: Mapping[int, bool], name: str) -> None:
        self._set(
            name, {key: replace(self._groups[key], is_shown=on) for key, on in wanted.items()}
        )

    def _do(
        self,
        name: str,
        groups: Mapping[int, PointGroup | None],
        rows: Rows,
        ids: int | NDArray[np.int32],
    ) -> None:
        """Change groups (None removes) and put rows, shape (M,), into groups, all in one edit."""
        self._change(self._edit(name, groups, rows, ids))

    def _edit(
        self,
        name: str,
        groups: Mapping[int, PointGroup | None],
        rows: Rows,
        ids: int | NDArray[np.int32],
    ) -> GroupEdit:
        wanted = np.broadcast_to(np.asarray(ids, np.int32), rows.shape)
        is_changed = self._ids[rows] != wanted
        moved = rows[is_changed].astype(np.int32)
        groups = {key: one for key, one in groups.items() if self._groups.get(key) != one}
        before = {key: self._groups[key] for key in groups if key in self._groups}
        after = {key: one for key, one in groups.items() if one is not None}
        return GroupEdit(name, before, after, moved, self._ids[moved], wanted[is_changed])


def _distinct(labels: NDArray[Any]) -> tuple[NDArray[Any], Rows, Rows]:
    """Return the values of labels in order, which of them each is, and how many are of each.

    As `np.unique`, which sorts: of a million labels that takes 50 ms, and this 10.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if high - low > 10 * labels.size + 1000:
        values, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        return values, place, sizes
    counts = np.bincount((labels.astype(np.int64) - low).ravel(), minlength=high - low + 1)
    held = np.flatnonzero(counts)
    place_of = np.zeros(len(counts), np.int64)
    place_of[held] = np.arange(len(held))
    return held + low, place_of[labels.astype(np.int64) - low], counts[held]
