"""A group of rows as a value, and the edits of groups that undo and redo walk through."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.color import Color
from napari_medssl.state.history import Edit

NONE = 0
"""Id of the rows that are in no group."""

NONE_NAME = "none"

Ids = NDArray[np.int32]

_LONGEST_NAME = 200
_NO_NAME_HOLDS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class PointGroup:
    """Name, colour, and whether its rows are shown."""

    name: str
    color: Color
    is_shown: bool = True


NO_GROUP = PointGroup(NONE_NAME, (190, 190, 190))
"""What rows in no group look like at first."""


def _no_ids() -> Ids:
    return np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class GroupEdit(Edit[PointGroup]):
    """One change: the groups as in `Edit`, and the rows whose group changed.

    Attributes
    ----------
    rows
        Their numbers, in order, int32, shape (M,).
    ids_before, ids_after
        Their groups, int32, shape (M,).
    """

    rows: Ids = field(default_factory=_no_ids)
    ids_before: Ids = field(default_factory=_no_ids)
    ids_after: Ids = field(default_factory=_no_ids)

    @property
    def is_empty(self) -> bool:
        """True if nothing differs between the two sides."""
        return dict(self.before) == dict(self.after) and not len(self.rows)

    def inverse(self) -> GroupEdit:
        """Return the edit that undoes this one."""
        return GroupEdit(
            self.name, self.after, self.before, self.rows, self.ids_after, self.ids_before
        )

    @property
    def weight_bytes(self) -> int:
        """Memory of the rows."""
        return int(3 * self.rows.nbytes)


def clean_group_name(name: str) -> str:
    """Return the name of a group as it is kept: on one line.

    Raises
    ------
    UserError
        If nothing is left, or it is too long.
    """
    kept = " ".join(_NO_NAME_HOLDS.sub(" ", name).split())
    if not kept:
        raise UserError(f"{name!r} is no name of a group. Write at least one letter.")
    if len(kept) > _LONGEST_NAME:
        raise UserError(
            f"A name of {len(kept)} letters came; a group's has {_LONGEST_NAME} at most."
        )
    return kept
