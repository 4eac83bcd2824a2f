"""One selection of rows, up to a million, shared by the views that show them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

_STEPS = 50


def mask_of(which: Any, count: int) -> Mask:
    """Return which of `count` rows are meant: a mask of them, or their numbers in any order.

    Raises
    ------
    ValueError
        If it is a mask of another length, holds a row that there is not, or is neither.
    """
    given = np.asarray(which)
    if given.dtype == bool:
        if given.shape != (count,):
            raise ValueError(f"a mask {given.shape} came for {count} rows, due is ({count},)")
        return given
    mask = np.zeros(count, bool)
    if not given.size:
        return mask
    if given.dtype.kind not in "iu" or given.ndim != 1:
        raise ValueError(
            f"{given.dtype} {given.shape} came, due is a mask of rows or their whole numbers"
        )
    low, high = int(given.min()), int(given.max())
    if low < 0 or high >= count:
        raise ValueError(f"rows {low} to {high} came, there are 0 to {count - 1}")
    mask[given] = True
    return mask


class RowSelection:
    """Which of N rows are selected; tells, once per change, what is and who changed it.

    Where `which` is asked for, a mask, shape (N,), or numbers of rows will do. Former selections
    can be walked back to. A mask that was handed out never changes.

    Parameters
    ----------
    count
        Number of rows, N.

    Attributes
    ----------
    changed
        Emitted with `(mask, source)`: the new selection, bool (N,), read-only, and the object given
        as `source`, so that the view that made the change can leave its own echo alone.
    """

    changed = Signal(object, object)

    def __init__(self, count: int) -> None:
        if count < 0:
            raise ValueError(f"count is {count!r}, must be 0 or more")
        self._mask = _frozen(np.zeros(count, bool))
        self._size = 0
        # As bits: a million rows take 125 kB a step.
        self._before: list[NDArray[np.uint8]] = []
        self._after: list[NDArray[np.uint8]] = []

    @property
    def count(self) -> int:
        """Number of rows, N."""
        return len(self._mask)

    @property
    def mask(self) -> Mask:
        """Which rows are selected, shape (N,), read-only."""
        return self._mask

    @property
    def rows(self) -> Rows:
        """The rows that are selected, in order."""
        return np.flatnonzero(self._mask)

    def __len__(self) -> int:
        """Return how many rows are selected."""
        return self._size

    def __contains__(self, row: int) -> bool:
        return 0 <= row < self.count and bool(self._mask[row])

    # -- changes: True if it was one -------------------------------------------------------------

    def replace(self, which: Any, source: object = None) -> bool:
        """Select exactly these."""
        return self._select(mask_of(which, self.count), source)

    def union(self, which: Any, source: object = None) -> bool:
        """Select these too."""
        return self._select(self._mask | mask_of(which, self.count), source)

    def intersection(self, which: Any, source: object = None) -> bool:
        """Keep only those selected that are among these."""
        return self._select(self._mask & mask_of(which, self.count), source)

    def difference(self, which: Any, source: object = None) -> bool:
        """Deselect these."""
        return self._select(self._mask & ~mask_of(which, self.count), source)

    def toggle(self, which: Any, source: object = None) -> bool:
        """Turn each of these over: selected becomes not, not becomes selected."""
        return self._select(self._mask ^ mask_of(which, self.count), source)

    def clear(self, source: object = None) -> bool:
        """Select nothing."""
        return self._select(np.zeros(self.count, bool), source)

    def invert(self, source: object = None) -> bool:
        """Select what is not, and nothing of what is."""
        return self._select(~self._mask, source)

    def combine(self, which: Any, mode: str, source: object = None) -> bool:
        """Do what `mode` names: "replace", "union", "intersection", "difference" or "toggle"."""
        ways = {
            "replace": self.replace,
            "union": self.union,
            "intersection": self.intersection,
            "difference": self.difference,
            "toggle": self.toggle,
        }
        if mode not in ways:
            raise ValueError(f"mode is {mode!r}, must be one of {sorted(ways)}")
        return ways[mode](which, source)

    # -- former selections -----------------------------------------------------------------------

    @property
    def can_go_back(self) -> bool:
        """True if there was a selection before this one."""
        return bool(self._before)

    @property
    def can_go_forward(self) -> bool:
        """True if `back` has something left to come again from."""
        return bool(self._after)

    def back(self, source: object = None) -> bool:
        """Select what was selected before; False if there is nothing to go back to."""
        return self._walk(self._before, self._after, source)

    def forward(self, source: object = None) -> bool:
        """Select what `back` left; False if there is no such thing."""
        return self._walk(self._after, self._before, source)

    # -- rows ------------------------------------------------------------------------------------

    def extend(self, count: int, source: object = None) -> None:
        """Have `count` rows from now on, the added ones not selected; views are told.

        Raises
        ------
        ValueError
            If that are fewer than there were.
        """
        added = count - self.count
        if added < 0:
            raise ValueError(f"{count} rows came, there are {self.count} already")
        if added:
            self._mask = _frozen(np.concatenate([self._mask, np.zeros(added, bool)]))
            self.changed.emit(self._mask, source)

    # -- inside ----------------------------------------------------------------------------------

    def _select(self, mask: Mask, source: object) -> bool:
        if np.array_equal(mask, self._mask):
            return False
        self._before.append(np.packbits(self._mask))
        del self._before[:-_STEPS]
        self._after.clear()
        self._put(np.array(mask), source)
        return True

    def _walk(
        self, taken: list[NDArray[np.uint8]], kept: list[NDArray[np.uint8]], source: object
    ) -> bool:
        if not taken:
            return False
        bits = taken.pop()
        kept.append(np.packbits(self._mask))
        # Rows that were added since have no bits: they were not selected.
        known = np.unpackbits(bits)[: self.count].astype(bool)
        self._put(np.concatenate([known, np.zeros(self.count - len(known), bool)]), source)
        return True

    def _put(self, mask: Mask, source: object) -> None:
        self._mask = _frozen(mask)
        self._size = int(np.count_nonzero(mask))
        self.changed.emit(self._mask, source)


def _frozen(mask: Mask) -> Mask:
    mask.setflags(write=False)
    return mask
