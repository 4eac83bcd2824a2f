"""Which rows of a near view get a picture: as many as do not overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.map_points import PointGrid, Rows
from napari_medssl.backend.map_view import MapView

MOST_SEEN = 1500
"""Rows in view above which there are no pictures."""
_LEAST_ROOM = 34.0  # pixels from row to row, were they spread evenly over the view
_LEAST_SIZE, _MOST_SIZE = 44.0, 112.0
_GAP = 4.0
_MIX = np.uint64(0x9E3779B97F4A7C15)  # of Knuth's multiplicative hash


def picture_size(seen: int, view: MapView) -> float:
    """Return the side of the pictures in a view of so many rows, in pixels; 0 for none."""
    if not 0 < seen <= MOST_SEEN:
        return 0.0
    room = float(np.sqrt(view.width * view.height / seen))
    return float(np.clip(room * 0.9, _LEAST_SIZE, _MOST_SIZE)) if room >= _LEAST_ROOM else 0.0


def rows_with_pictures(
    grid: PointGrid,
    view: MapView,
    shown: NDArray[np.bool_] | None,
    selected: NDArray[np.bool_] | None,
) -> tuple[Rows, float]:
    """Return the rows whose pictures are drawn, and the side of these in pixels.

    Selected rows come first; among the others a row keeps its rank wherever one looks, so that
    pictures do not jump while the view moves.
    """
    rows = grid.visible(view)
    if shown is not None:
        rows = rows[shown[rows]]
    size = picture_size(len(rows), view)
    if not size:
        return rows[:0], 0.0
    rank = rows.astype(np.uint64) * _MIX
    is_last = np.zeros(len(rows), bool) if selected is None else ~selected[rows]
    order = np.lexsort((rank, is_last))
    rows = rows[order]
    return rows[apart(view.to_screen(grid.places[rows]), size + _GAP)], size


def apart(centres: NDArray[np.float64], size: float) -> NDArray[np.int64]:
    """Return which squares of a side are kept if each gives way to kept ones before it.

    Parameters
    ----------
    centres
        Shape (n, 2).
    size
        Of all squares.
    """
    kept: dict[tuple[int, int], tuple[float, float]] = {}  # one at most begins in a cell
    chosen = []
    for number, (x, y) in enumerate(centres.tolist()):
        column, line = int(x // size), int(y // size)
        beside = (kept.get((column + dx, line + dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1))
        if any(each and abs(each[0] - x) < size and abs(each[1] - y) < size for each in beside):
            continue
        kept[column, line] = (x, y)
        chosen.append(number)
    return np.array(chosen, np.int64)
