"""Where a million rows lie on the plane: which are in a rectangle, in a lasso, nearest to a place.

The rows are sorted by the cells of a regular grid, row of cells by row of cells, so that the cells
beside each other are one slice: only what is near a question is ever touched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_medssl.backend.map_lasso import polygon_cells, within_polygon
from napari_medssl.backend.map_view import Bounds, MapView, bounds_of

Rows = NDArray[np.int64]
_POINTS_PER_CELL = 4
_MOST_CELLS = 512  # of a side


class PointGrid:
    """The places of N rows, sorted into cells.

    A row whose place is not finite is nowhere: no question ever returns it. Rectangles and lassos
    hold what lies on their left and lower side, as far as rounding lets one tell.

    Parameters
    ----------
    places
        x and y, shape (N, 2); kept as float32.

    Attributes
    ----------
    places
        As given.
    count
        N.
    order
        The rows that have a place, sorted by cell.
    xs, ys
        Their places in the same order.
    bounds
        The smallest rectangle that holds them.
    """

    def __init__(self, places: ArrayLike) -> None:
        kept = np.array(places, np.float32)
        if kept.ndim != 2 or kept.shape[1] != 2:
            raise ValueError(f"places have shape {kept.shape}, must be (N, 2)")
        self.places: NDArray[np.float32] = kept
        self.count = len(kept)
        self.bounds: Bounds = bounds_of(kept)
        rows = np.flatnonzero(np.isfinite(kept).all(axis=1))
        x0, y0, x1, y1 = self.bounds
        extent = max(x1 - x0, y1 - y0)
        side = int(np.clip(np.sqrt(len(rows) / _POINTS_PER_CELL), 1, _MOST_CELLS))
        self._per_unit = side / extent if extent > 0 else 1.0
        self._columns = self._cells_of((x1,), x0, side)[0] + 1
        self._lines = self._cells_of((y1,), y0, side)[0] + 1
        everything = slice(None) if len(rows) == self.count else rows
        x, y = kept[everything, 0], kept[everything, 1]
        cells = self._cells_of(y, y0, self._lines) * self._columns
        cells += self._cells_of(x, x0, self._columns)
        sorting = np.argsort(cells, kind="stable")
        self.order: Rows = rows[sorting]
        self.xs: NDArray[np.float32] = x[sorting]
        self.ys: NDArray[np.float32] = y[sorting]
        counts = np.bincount(cells, minlength=self._lines * self._columns)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._spacing = 1 / (self._per_unit * np.sqrt(_usual(counts)))

    @property
    def spacing(self) -> float:
        """How far rows lie apart, about, where most of them are."""
        return float(self._spacing)

    def in_rectangle(self, x0: float, y0: float, x1: float, y1: float) -> Rows:
        """Return the rows in a rectangle, ascending; of two corners, whichever."""
        at = self.inside(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return self._ascending(self.order[at])

    def in_polygon(self, polygon: ArrayLike) -> Rows:
        """Return the rows in a polygon, ascending.

        What a polygon that crosses itself holds is told by the even-odd rule: a place is inside if
        a ray from it crosses the outline an odd number of times. Less than three corners hold none.

        Parameters
        ----------
        polygon
            Corners, shape (M, 2), closed by itself.
        """
        corners = np.asarray(polygon, np.float64).reshape(-1, 2)
        if len(corners) < 3 or not len(self.order):
            return np.empty(0, np.int64)
        shape = (self._lines, self._columns)
        in_cells = (corners - self.bounds[:2]) * self._per_unit
        is_inside, is_border = polygon_cells(in_cells, shape)
        chosen = self.order[self._slices(np.flatnonzero(is_inside))]
        tested = self._slices(np.flatnonzero(is_border))
        lines = self._cells_of(self.ys[tested], self.bounds[1], self._lines)
        hits = within_polygon(corners, self.xs[tested], self.ys[tested], lines)
        return self._ascending(np.concatenate([chosen, self.order[tested[hits]]]))

    def nearest(
        self, x: float, y: float, radius: float, among: NDArray[np.bool_] | None = None
    ) -> int | None:
        """Return the row nearest to a place, the first of equally near ones; None if none is near.

        Parameters
        ----------
        x, y
            The place.
        radius
            How far the row may be.
        among
            Which rows count, shape (N,); all without it.
        """
        at = self.inside(x - radius, y - radius, x + radius, y + radius)
        if among is not None:
            at = at[among[self.order[at]]]
        if not len(at):
            return None
        away = np.hypot(self.xs[at].astype(np.float64) - x, self.ys[at].astype(np.float64) - y)
        least = away.min()
        return int(self.order[at[away == least]].min()) if least <= radius else None

    def visible(self, view: MapView) -> Rows:
        """Return the rows that a view shows, ascending."""
        return self.in_rectangle(*view.bounds)

    def inside(self, x0: float, y0: float, x1: float, y1: float) -> NDArray[np.int64]:
        """Return the positions in `order` of the rows in a rectangle, both sides included."""
        left, lower, right, upper = self.bounds
        if x0 <= left and y0 <= lower and right <= x1 and upper <= y1:
            return np.arange(len(self.order))
        at = self._near(x0, y0, x1, y1)
        x, y = self.xs[at], self.ys[at]
        low, high = np.array([(x0, y0), (x1, y1)])  # or numpy rounds them to float32
        is_inside = (low[0] <= x) & (x <= high[0]) & (low[1] <= y) & (y <= high[1])
        return np.asarray(at[is_inside])

    def _near(self, x0: float, y0: float, x1: float, y1: float) -> NDArray[np.int64]:
        """Return the positions of the rows whose cells a rectangle touches."""
        left, lower, right, upper = self.bounds
        if not len(self.order) or x1 < left or right < x0 or y1 < lower or upper < y0:
            return np.empty(0, np.int64)
        columns = self._cells_of((x0, x1), left, self._columns)
        lines = self._cells_of((y0, y1), lower, self._lines)
        if columns[0] == 0 and columns[1] == self._columns - 1:  # whole lines are one slice
            firsts = lines[:1] * self._columns
            lasts = lines[1:] * self._columns + self._columns
        else:
            firsts = np.arange(lines[0], lines[1] + 1) * self._columns
            firsts, lasts = firsts + columns[0], firsts + columns[1] + 1
        return _ranges(self._starts[firsts], self._starts[lasts])

    def _slices(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of the rows in some cells."""
        return _ranges(self._starts[cells], self._starts[cells + 1])

    def _cells_of(self, values: ArrayLike, start: float, count: int) -> NDArray[np.int64]:
        """Return the lines or columns of cells of coordinates, the outermost if outside."""
        steps = (np.asarray(values, np.float64) - start) * self._per_unit
        return np.asarray(np.clip(steps, 0, count - 1), np.int64)

    def _ascending(self, rows: Rows) -> Rows:
        """Sort rows; a mask does it in less time than a sort if there are many."""
        if len(rows) < self.count // 50:
            return np.sort(rows)
        mask = np.zeros(self.count, bool)
        mask[rows] = True
        return np.flatnonzero(mask)


def _usual(counts: NDArray[np.int64]) -> int:
    """Return how many rows share the cell of a row: the median over rows, 1 without any."""
    rows = np.cumsum(np.bincount(counts) * np.arange(counts.max() + 1))
    return max(int(np.searchsorted(rows, rows[-1] / 2)), 1)


def _ranges(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the whole numbers of half open ranges, one after the other."""
    if len(starts) == 1:
        return np.arange(starts[0], ends[0])
    lengths = ends - starts
    firsts = np.cumsum(lengths) - lengths
    return np.asarray(np.repeat(starts - firsts, lengths) + np.arange(lengths.sum()))
