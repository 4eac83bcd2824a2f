"""The examples of the search as small pictures: green is wanted, red is not; × takes one away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QWidget

from napari_medssl.state.search_examples import Example
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.similar.hit_delegate import paint_chip
from napari_medssl.widgets.similar.outlines import UNWANTED, WANTED
from napari_medssl.widgets.similar.session import SimilarSession
from napari_medssl.widgets.similar.slide_places import SlidePlaces
from napari_medssl.widgets.similar.tile_pictures import area_key

SIDE = 56
_CHIP = 16
_HINT = "Pick a tile, draw a box or drop a picture: Shift adds it as +, Ctrl as −."


def picture_key(example: Example) -> str:
    """Return the key of the picture of an example."""
    return f"file|{example.source}" if example.area is None else area_key(example.area)


class ExampleTile(QWidget):
    """One example: a click on its picture flies there, on its sign turns it, on its × removes it.

    Signals
    -------
    opened, turned, removed
        The `Example`.
    """

    opened = Signal(object)
    turned = Signal(object)
    removed = Signal(object)

    def __init__(self, example: Example, name: str, find: Callable[[str], Any]) -> None:
        super().__init__()
        self.example = example
        self._find = find
        self.setFixedSize(QSize(SIDE + 4, SIDE + 4))
        kind = "wanted" if example.is_wanted else "not wanted"
        go = "Click" if example.area is None else "Click to go there,"
        self.setToolTip(f"{name}: {kind}\n{go} on the sign to turn it, on × to take it away")
        self.setAccessibleName(f"Example {name}, {kind}")

    @property
    def sign_place(self) -> QRect:
        """Where the sign is."""
        return QRect(2, self.height() - _CHIP - 2, _CHIP, _CHIP)

    @property
    def cross_place(self) -> QRect:
        """Where the × is."""
        return QRect(self.width() - _CHIP - 2, 2, _CHIP, _CHIP)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint picture, frame and signs."""
        painter = QPainter(self)
        color = WANTED if self.example.is_wanted else UNWANTED
        frame = QRect(2, 2, SIDE, SIDE)
        painter.fillRect(frame, QColor(128, 128, 128, 50))
        picture = self._find(picture_key(self.example))
        if picture is not None and not picture.isNull():
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(frame, picture)
        pen = painter.pen()
        pen.setColor(QColor(color))
        pen.setWidth(3)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(frame)
        paint_chip(painter, self.sign_place, "+" if self.example.is_wanted else "−", color)
        paint_chip(painter, self.cross_place, "×", "#60646c")
        painter.end()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Do what was clicked."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        place = event.position().toPoint()
        if self.cross_place.contains(place):
            self.removed.emit(self.example)
        elif self.sign_place.contains(place):
            self.turned.emit(self.example)
        elif self.rect().contains(place):
            self.opened.emit(self.example)


class ExampleStrip(QScrollArea):
    """All examples in a row.

    Signals
    -------
    opened
        The `Example` that a person clicked.
    """

    opened = Signal(object)

    def __init__(
        self, session: SimilarSession, places: SlidePlaces, thumbnails: Thumbnails
    ) -> None:
        super().__init__()
        self._session = session
        self._places = places
        self._thumbnails = thumbnails
        self.tiles: list[ExampleTile] = []
        self._shown: tuple[Example, ...] = ()
        inside = QWidget()
        self._row = QHBoxLayout(inside)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(3)
        self.hint = QLabel(_HINT)
        self.hint.setWordWrap(True)
        self._row.addWidget(self.hint, 1)
        self._row.addStretch(0)
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFixedHeight(SIDE + 20)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        session.examples_changed.connect(self._fill)
        places.masked_changed.connect(self._fill_anew)
        thumbnails.ready.connect(self._on_picture)

    def _fill_anew(self) -> None:
        self._shown = ()
        self._fill()

    def _fill(self) -> None:
        if self._session.examples == self._shown and self.tiles:
            return
        self._shown = self._session.examples
        for tile in self.tiles:
            self._row.removeWidget(tile)
            tile.hide()
            tile.deleteLater()
        self.tiles = []
        for number, example in enumerate(self._shown):
            name = example.name if example.area is None else self._places.title(example.area.slide)
            tile = ExampleTile(example, name, self._thumbnails.get)
            tile.opened.connect(self.opened)
            tile.turned.connect(self._session_turn)
            tile.removed.connect(self._session_remove)
            self._row.insertWidget(number, tile)
            self.tiles.append(tile)
        self.hint.setVisible(not self.tiles)

    def _session_turn(self, example: Example) -> None:
        self._session.turn(example)

    def _session_remove(self, example: Example) -> None:
        self._session.remove(example)

    def _on_picture(self, key: str) -> None:
        for tile in self.tiles:
            if picture_key(tile.example) == key:
                tile.update()
