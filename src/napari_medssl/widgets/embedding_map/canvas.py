"""The drawing surface of the embedding map: a million points that one pans, zooms and chooses.

It knows rows by their numbers, places and colours, and nothing of images or groups. Points are
drawn by numpy in a thread; while a picture of them is on its way the last one is shown, moved and
scaled, so that the hand never waits.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QWidget

from napari_medssl.backend.map_points import Rows
from napari_medssl.backend.map_view import bounds_of, fitting_view
from napari_medssl.widgets.embedding_map import painting
from napari_medssl.widgets.embedding_map.frame_maker import FrameMaker
from napari_medssl.widgets.embedding_map.frames import Frame, FrameDrawer
from napari_medssl.widgets.embedding_map.gestures import TOOLS, Place
from napari_medssl.widgets.embedding_map.hover import Hover
from napari_medssl.widgets.embedding_map.look import look_of
from napari_medssl.widgets.embedding_map.map_rows import MapRows
from napari_medssl.widgets.embedding_map.navigation import NavigatedWidget

HINT = "No map yet: open images or embeddings to see them here."
HOVER_RADIUS = 14.0
"""Pixels from the mouse within which a row is hovered or clicked."""
_NEAR = 12.0  # pixels between rows, about, when one is centred on


class ThumbnailProvider(Protocol):
    """What has pictures of rows; its signal `ready` tells, with anything, that there are more."""

    ready: Any

    def get(self, row: int) -> QPixmap | None:
        """Return the picture of a row, None while it is made or if there is none."""


class MapCanvas(NavigatedWidget):
    """N rows as points of the plane: densities from afar, dots from near, pictures when close.

    A row whose place is not finite is neither drawn nor ever chosen, and so are rows that are not
    shown. The left button does what `tool` says. Modifiers held when a lasso or a rectangle is
    begun say how it is combined with what was selected before: none replaces it, Shift adds, Ctrl
    takes away, Alt (or Ctrl and Shift) keeps what is in both. A lasso that crosses itself follows
    the even-odd rule: what it goes around twice is outside.

    Signals
    -------
    hovered
        The row at the mouse, -1 for none, when it is another one; looked up every 50 ms.
    dwelled
        That row again once the mouse has stayed at it for 125 ms: for what takes time to show.
    place_hovered
        x and y of the plane at the mouse, every 50 ms at most.
    clicked
        The row, -1 for none, and the Qt.KeyboardModifiers.
    chosen
        The rows in a lasso or rectangle, int64 and ascending, and "replace", "union",
        "intersection" or "difference". Nothing is selected by itself: see `set_selected`.
    view_changed
        Another part of the plane is shown.
    """

    hovered = Signal(int)
    dwelled = Signal(int)
    place_hovered = Signal(float, float)
    clicked = Signal(int, object)
    chosen = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hint = HINT
        self.rows = MapRows(self)
        self.frame: Frame | None = None
        self._whole: Frame | None = None  # the whole map, behind frames that are too small
        self._drawer = FrameDrawer()
        self._frames = FrameMaker("medssl-map", self)
        self._thumbnails: ThumbnailProvider | None = None
        self._links: tuple[int, Rows] | None = None
        self._marked: Rows = np.zeros(0, np.int64)
        self.hover = Hover(self._row_at, self)
        self._connect()
        self._look = look_of(self.palette())
        self.rows.be_seen_on(self._look.ground, self._look.ink)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Embedding map")
        self.setAccessibleDescription(
            "Rows as points. Arrows pan, plus and minus zoom, 0 shows all."
        )
        self.show_cursor()

    def _connect(self) -> None:
        self.rows.changed.connect(self._draw)
        self.view_changed.connect(self._draw)
        self._frames.made.connect(self._take_frame)
        self.hover.changed.connect(self.hovered)
        self.hover.changed.connect(self._on_hovered)
        self.hover.rested.connect(self.dwelled)
        self.hover.moved.connect(self._tell_place)

    # -- what is shown ---------------------------------------------------------------------------

    @property
    def is_drawing(self) -> bool:
        """Whether what is seen is still to become sharper."""
        return self.rows.is_sorting or self._frames.is_busy

    @property
    def tool(self) -> str:
        """What the left button does: "pan", "lasso" or "rectangle"."""
        return self.gestures.tool

    @tool.setter
    def tool(self, name: str) -> None:
        if name not in TOOLS:
            raise ValueError(f"tool is {name!r}, must be one of {', '.join(TOOLS)}")
        self.gestures.cancel()
        self.gestures.tool = name
        self.show_cursor()
        self.update()

    def set_places(self, places: ArrayLike) -> None:
        """Show other rows, at places of shape (N, 2), all of them in view.

        If there are more or fewer than before, colours and masks are forgotten.
        """
        self.hover.leave()
        self._links = None
        self._marked = np.zeros(0, np.int64)
        former = self.rows.count
        self.rows.begin(places)
        if self.rows.count != former:
            self.frame = self._whole = None
        self._all = self.rows.bounds
        self.fit()
        self.update()

    def move_places(self, places: ArrayLike) -> None:
        """Show the same rows elsewhere: all, or where a person looks once one has chosen that."""
        self.rows.move(places)
        self.fit_again(self.rows.bounds)

    def set_colors(self, colors: ArrayLike) -> None:
        """Give the rows colours, uint8, shape (N, 3)."""
        self.rows.paint(colors)

    def set_shown(self, mask: ArrayLike | None) -> None:
        """Show these rows, bool, shape (N,); all for None."""
        self.rows.show(mask)

    def set_selected(self, mask: ArrayLike | None) -> None:
        """Have these rows, bool, shape (N,), stand out while the others fade; none for None."""
        self.rows.select(mask)

    def set_thumbnails(self, provider: ThumbnailProvider | None) -> None:
        """Take pictures of rows from here when few are in view; none for None."""
        if self._thumbnails is not None:
            self._thumbnails.ready.disconnect(self._on_picture)
        self._thumbnails = provider
        if provider is not None:
            provider.ready.connect(self._on_picture)
        self.rows.have_pictures(provider is not None)
        self.update()

    def set_links(self, row: int, rows: ArrayLike = ()) -> None:
        """Draw thin lines from a row to others; none from row -1."""
        checked = self.rows.checked
        self._links = (int(checked(row)[0]), checked(rows)) if row >= 0 else None
        self.update()

    def set_marked(self, rows: ArrayLike) -> None:
        """Draw a ring around some rows, a few hundred at most."""
        self._marked = self.rows.checked(rows)
        self.update()

    def centre_on(self, rows: ArrayLike) -> None:
        """Show these rows in the middle: all of them, or one with what is around it."""
        grid, places = self.rows.grid, self.rows.places_of(rows)
        places = places[np.isfinite(places).all(axis=1)]
        if grid is None or not len(places):
            return
        view = fitting_view(bounds_of(places), self.width(), self.height(), 60.0)
        near = _NEAR / grid.spacing
        if len(places) == 1:
            view = replace(view, scale=max(near, self.view.scale))
        self._move(replace(view, scale=min(view.scale, max(near, self.view.scale))))

    def visible_rows(self) -> Rows:
        """Return the rows that are shown and in view, ascending."""
        return self.rows.visible(self.view)

    def finish(self) -> None:
        """Wait for the threads, and draw nothing any more."""
        self.rows.finish()
        self._frames.finish()

    # -- what a person does ----------------------------------------------------------------------

    def click(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Tell the row that was clicked."""
        self.clicked.emit(self._row_at(at), modifiers)

    def choose_in(self, corners: list[Place], mode: str) -> None:
        """Tell the rows in a lasso."""
        self.chosen.emit(self.rows.in_polygon(corners), mode)

    def choose_between(self, start: Place, end: Place, mode: str) -> None:
        """Tell the rows in a rectangle."""
        self.chosen.emit(self.rows.in_rectangle(start, end), mode)

    def pointed_at(self, at: QPointF | None) -> None:
        """Follow the mouse."""
        if at is None:
            self.hover.leave()
        else:
            self.hover.follow(at)

    # -- drawing ---------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint what there is."""
        painter, look = QPainter(self), self._look
        painter.fillRect(self.rect(), look.ground_color)
        if not self.rows.has_places:
            painting.paint_hint(painter, QRectF(self.rect()), self.hint, look)
        elif self.frame is not None:
            if not self.frame.fits(self.frame.scene, self.frame.view, self.devicePixelRatioF()):
                self._draw()  # the window is on another screen
            painting.paint_frame(painter, self.frame, self._whole, self.view, look)
            self._paint_links(painter)
            self._paint_points(painter, self.frame)
        outline = self.gestures.outline()
        if outline:
            painting.paint_outline(painter, self.view.to_screen(outline).tolist(), look)

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw in other colours after a change of the theme."""
        super().changeEvent(event)
        kinds = QEvent.Type
        if event is not None and event.type() in (kinds.PaletteChange, kinds.StyleChange):
            self._look = look_of(self.palette())
            self.rows.be_seen_on(self._look.ground, self._look.ink)
            self.update()

    def _paint_links(self, painter: QPainter) -> None:
        if self._links is None:
            return
        row, rows = self._links
        start = self.view.to_screen(self.rows.places_of(row))
        ends = self.view.to_screen(self.rows.places_of(rows))
        if len(start) and np.isfinite(start).all():
            painting.paint_links(painter, start[0], ends, self._look)

    def _paint_points(self, painter: QPainter, frame: Frame) -> None:
        """Paint the pictures, and rings around marked rows and that at the mouse."""
        row, source, is_framed = self.hover.row, self._thumbnails, False
        if source is not None and len(frame.picture_rows):
            painting.paint_pictures(painter, frame, source, self.view, self._look, row)
            is_framed = row in frame.picture_rows and source.get(row) is not None
        for x, y in self.view.to_screen(self.rows.places_of(self._marked)).tolist():
            painting.paint_mark(painter, x, y, frame.radius)
        if row >= 0 and not is_framed:
            x, y = self.view.to_screen(self.rows.places_of(row))[0].tolist()
            painting.paint_ring(painter, x, y, frame.radius, self._look)

    def _draw(self) -> None:
        """Wish for a frame of what is to be seen now."""
        scene, frame, ratio = self.rows.scene, self.frame, self.devicePixelRatioF()
        if scene is None or (frame is not None and frame.fits(scene, self.view, ratio)):
            return
        self._frames.wish(partial(self._drawer.draw, scene, self.view, ratio))

    def _take_frame(self, frame: Frame) -> None:
        if self.rows.scene is None or frame.scene.grid.count != self.rows.count:
            return
        self.frame = frame
        if frame.kind == "density":
            self._whole = frame
        self.hover.look_again()
        self.update()

    def _row_at(self, at: QPointF) -> int:
        return self.rows.at(self.view, at, HOVER_RADIUS)

    def _on_hovered(self, _row: int) -> None:
        self.update()

    def _tell_place(self, at: QPointF) -> None:
        self.place_hovered.emit(*self.map_place(at))

    def _on_picture(self, *_told: object) -> None:
        self.update()
