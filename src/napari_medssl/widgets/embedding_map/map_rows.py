"""The rows of the map: where they are, their colours, which are shown and which selected."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QObject, QPointF, Signal

from napari_medssl.backend.map_points import PointGrid, Rows
from napari_medssl.backend.map_raster import Color
from napari_medssl.backend.map_view import Bounds, MapView, bounds_of
from napari_medssl.widgets.embedding_map.frame_maker import FrameMaker
from napari_medssl.widgets.embedding_map.frames import Mask, Scene
from napari_medssl.widgets.embedding_map.gestures import Place

SORTED_AT_ONCE = 20_000
"""Rows up to which places are sorted on the spot, in some milliseconds, else in a thread."""
_GREY = 140


class MapRows(QObject):
    """N rows on the plane; arrays given are copied, so that the thread that draws may keep them.

    Signals
    -------
    changed
        `scene` is another one.

    Attributes
    ----------
    count
        N.
    bounds
        The smallest rectangle that holds all places.
    scene
        What is drawn; None until the places are sorted.
    """

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.count = 0
        self.bounds: Bounds = (0.0, 0.0, 1.0, 1.0)
        self.scene: Scene | None = None
        self._colors: NDArray[np.uint8] = np.empty((0, 3), np.uint8)
        self._shown: Mask | None = None
        self._selected: Mask | None = None
        self._has_pictures = False
        self._ground: Color = (255, 255, 255)
        self._ink: Color = (0, 0, 0)
        self._grids = FrameMaker("medssl-map-places", self)
        self._grids.made.connect(self._take_grid)

    @property
    def has_places(self) -> bool:
        """Whether there is any row to draw, or there will be."""
        return self.is_sorting or (self.grid is not None and len(self.grid.order) > 0)

    @property
    def is_sorting(self) -> bool:
        """Whether places are still to be sorted."""
        return self._grids.is_busy

    @property
    def grid(self) -> PointGrid | None:
        """The places, None until they are sorted."""
        return self.scene.grid if self.scene is not None else None

    def begin(self, places: ArrayLike) -> None:
        """Take other rows at places, shape (N, 2).

        If there are as many as before, colours and masks stay.
        """
        kept = np.array(places, np.float32)
        if kept.ndim != 2 or kept.shape[1] != 2:
            raise ValueError(f"places have shape {kept.shape}, must be (N, 2)")
        if len(kept) != self.count:
            self.count = len(kept)
            self._colors = np.full((len(kept), 3), _GREY, np.uint8)
            self._shown = self._selected = self.scene = None
        self._sort(kept)

    def move(self, places: ArrayLike) -> None:
        """Have the same rows at other places."""
        kept = np.array(places, np.float32)
        self._check(kept, "places", (self.count, 2))
        self._sort(kept)

    def paint(self, colors: ArrayLike) -> None:
        """Give the rows colours, uint8, shape (N, 3)."""
        kept = np.array(colors, np.uint8)
        self._check(kept, "colors", (self.count, 3))
        self._colors = kept
        self._renew()

    def show(self, mask: ArrayLike | None) -> None:
        """Show these rows, shape (N,); all for None."""
        self._shown = self._mask(mask, "shown")
        if self._shown is not None and self._shown.all():
            self._shown = None
        self._renew()

    def select(self, mask: ArrayLike | None) -> None:
        """Have these rows, shape (N,), stand out; if there are none, none fade either."""
        self._selected = self._mask(mask, "selected")
        if self._selected is not None and not self._selected.any():
            self._selected = None
        self._renew()

    def have_pictures(self, has_pictures: bool) -> None:
        """Say whether rows have pictures."""
        self._has_pictures = has_pictures
        self._renew()

    def be_seen_on(self, ground: Color, ink: Color) -> None:
        """Say which colours are around the rows."""
        if (ground, ink) != (self._ground, self._ink):
            self._ground, self._ink = ground, ink
            self._renew()

    def that_are_shown(self, rows: Rows) -> Rows:
        """Return those of some rows that are shown."""
        return rows if self._shown is None else rows[self._shown[rows]]

    def visible(self, view: MapView) -> Rows:
        """Return the rows that are shown and in view, ascending."""
        return self.that_are_shown(self.grid.visible(view)) if self.grid is not None else _NONE

    def in_polygon(self, corners: list[Place]) -> Rows:
        """Return the rows that are shown and in a polygon, ascending."""
        return (
            self.that_are_shown(self.grid.in_polygon(corners)) if self.grid is not None else _NONE
        )

    def in_rectangle(self, start: Place, end: Place) -> Rows:
        """Return the rows that are shown and in a rectangle, ascending."""
        if self.grid is None:
            return _NONE
        return self.that_are_shown(self.grid.in_rectangle(*start, *end))

    def at(self, view: MapView, point: QPointF, radius: float) -> int:
        """Return the row that is shown nearest to a point of the widget, -1 for none near."""
        if self.grid is None:
            return -1
        place = view.to_plane(point.x(), point.y())
        found = self.grid.nearest(*place, radius / view.scale, self._shown)
        return -1 if found is None else found

    def checked(self, rows: ArrayLike) -> Rows:
        """Return numbers of rows as an array; ValueError for one that there is not."""
        found = np.asarray(rows, np.int64).reshape(-1)
        if found.max(initial=-1) >= self.count or found.min(initial=0) < 0:
            raise ValueError(f"rows {found.min()} to {found.max()} came, there are {self.count}")
        return found

    def places_of(self, rows: ArrayLike) -> NDArray[np.float32]:
        """Return the places of rows, shape (n, 2); what is not finite has none."""
        if self.grid is None:
            return np.empty((0, 2), np.float32)
        return self.grid.places[np.asarray(rows, np.int64).reshape(-1)]

    def finish(self) -> None:
        """Wait for the thread; nothing is told any more."""
        self._grids.finish()

    def _sort(self, places: NDArray[np.float32]) -> None:
        self.bounds = bounds_of(places)
        if self.count > SORTED_AT_ONCE:
            self._grids.wish(partial(PointGrid, places))
        else:
            self._grids.drop()
            self._take_grid(PointGrid(places))

    def _take_grid(self, grid: PointGrid) -> None:
        if grid.count == self.count:  # else other rows have come since
            self._renew(grid)

    def _renew(self, grid: PointGrid | None = None) -> None:
        if grid is None:
            grid = self.grid
        if grid is None:
            return
        chosen = self._selected
        if chosen is not None and self._shown is not None:
            chosen = chosen & self._shown
        self.scene = Scene(
            grid, self._colors, self._shown, chosen, self._has_pictures, self._ground, self._ink
        )
        self.changed.emit()

    def _mask(self, mask: ArrayLike | None, name: str) -> Mask | None:
        if mask is None:
            return None
        kept = np.array(mask, bool)
        self._check(kept, name, (self.count,))
        return kept

    def _check(self, kept: NDArray[np.generic], name: str, due: tuple[int, ...]) -> None:
        if kept.shape != due:
            raise ValueError(f"{name} have shape {kept.shape}, must be {due}")


_NONE = np.empty(0, np.int64)
