"""Which cells and places a polygon holds, by the even-odd rule.

Cells that no side of the polygon touches lie wholly inside or outside, so that only the places in
the others are tested one by one, and those only against the sides that reach their line of cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SLACK = 1e-6  # of a cell: a place may be rounded into the cell beside its own
_FARTHEST = 1e6  # cells; the sides of larger polygons cannot be told to the slack
_MOST_PAIRS = 4_000_000
Floats = NDArray[np.float64]


def polygon_cells(
    corners: Floats, shape: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which cells lie wholly inside a polygon, and which its sides touch.

    Parameters
    ----------
    corners
        Shape (M, 2), x and y in cells: cell (line, column) is from (column, line) to one more.
    shape
        Lines and columns of cells.

    Returns
    -------
    is_inside, is_border
        Shape (lines * columns,).
    """
    lines, columns = shape
    if not np.abs(corners).max() < _FARTHEST:
        return np.zeros(lines * columns, bool), np.ones(lines * columns, bool)
    ends = np.roll(corners, -1, axis=0)
    border = np.zeros((lines, columns + 1), np.int32)
    side, line = _side_lines(corners[:, 1], ends[:, 1], lines)
    low, high = _reach(corners[side], ends[side], line)
    first = np.floor(np.clip(low - _SLACK, 0, columns)).astype(np.int64)
    last = np.floor(np.clip(high + _SLACK, -1, columns - 1)).astype(np.int64)
    seen = (low <= columns) & (high >= 0)
    np.add.at(border, (line[seen], first[seen]), 1)
    np.add.at(border, (line[seen], last[seen] + 1), -1)
    is_border = np.cumsum(border, axis=1)[:, :columns] > 0

    middle = line + 0.5
    start, end = corners[side], ends[side]
    crosses = (start[:, 1] <= middle) != (end[:, 1] <= middle)
    start, end, line, middle = start[crosses], end[crosses], line[crosses], middle[crosses]
    at = _crossing(start, end, middle)
    passed = np.zeros((lines, columns + 1), np.int32)
    # All cells whose middle lies left of the crossing are passed by the ray to the right.
    np.add.at(passed, (line, np.ceil(np.clip(at - 0.5, 0, columns)).astype(np.int64)), 1)
    right = np.cumsum(passed[:, ::-1], axis=1)[:, ::-1][:, 1:]
    is_inside = (right % 2 == 1) & ~is_border
    return is_inside.ravel(), is_border.ravel()


def within_polygon(
    corners: Floats,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    lines: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which places a polygon holds.

    Parameters
    ----------
    corners
        Shape (M, 2).
    x, y
        The places, shape (n,).
    lines
        A number for each place, not falling; places of one number lie close together in y.
    """
    ends = np.roll(corners, -1, axis=0)
    low, high = np.minimum(corners[:, 1], ends[:, 1]), np.maximum(corners[:, 1], ends[:, 1])
    found = np.zeros(len(x), bool)
    cuts = np.flatnonzero(np.diff(lines)) + 1
    for begin, stop in zip([0, *cuts], [*cuts, len(x)], strict=True):
        if begin == stop:
            continue
        some = y[begin:stop].astype(np.float64)
        sides = np.flatnonzero((low <= some.max()) & (high >= some.min()))
        step = max(1, _MOST_PAIRS // max(len(sides), 1))
        for first in range(begin, stop, step):
            part = slice(first, min(first + step, stop))
            found[part] = _is_odd(corners[sides], ends[sides], x[part], y[part])
    return found


def _is_odd(
    starts: Floats, ends: Floats, x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return for which places a ray to the right crosses an odd number of sides."""
    height = y.astype(np.float64)[:, None]
    crosses = (starts[:, 1] <= height) != (ends[:, 1] <= height)  # (places, sides)
    place, side = np.nonzero(crosses)
    at = _crossing(starts[side], ends[side], height[place, 0])
    hits = place[x[place] < at]
    return np.asarray(np.bincount(hits, minlength=len(x)) % 2 == 1)


def _crossing(starts: Floats, ends: Floats, y: Floats) -> Floats:
    """Return at which x sides that are not level reach y."""
    share = (y - starts[:, 1]) / (ends[:, 1] - starts[:, 1])
    return np.asarray(starts[:, 0] + share * (ends[:, 0] - starts[:, 0]))


def _side_lines(
    start: Floats, end: Floats, lines: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of a side and a line of cells that it reaches: side, line."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    first = np.floor(np.clip(low - _SLACK, 0, lines)).astype(np.int64)
    last = np.floor(np.clip(high + _SLACK, -1, lines - 1)).astype(np.int64)
    count = np.maximum(last - first + 1, 0)
    side = np.repeat(np.arange(len(start)), count)
    before = np.cumsum(count) - count
    line = first[side] + np.arange(count.sum()) - before[side]
    return side, line


def _reach(starts: Floats, ends: Floats, line: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return from where to where in x each side runs within its line of cells."""
    low = np.minimum(starts[:, 0], ends[:, 0])
    high = np.maximum(starts[:, 0], ends[:, 0])
    rise = ends[:, 1] - starts[:, 1]
    is_level = np.abs(rise) < _SLACK
    slope = (ends[:, 0] - starts[:, 0]) / np.where(is_level, 1.0, rise)
    at_bottom = starts[:, 0] + (line - _SLACK - starts[:, 1]) * slope
    at_top = starts[:, 0] + (line + 1 + _SLACK - starts[:, 1]) * slope
    within_low = np.maximum(low, np.minimum(at_bottom, at_top))
    within_high = np.minimum(high, np.maximum(at_bottom, at_top))
    begin = np.where(is_level, low, np.minimum(within_low, within_high))
    stop = np.where(is_level, high, np.maximum(within_low, within_high))
    return begin, stop
