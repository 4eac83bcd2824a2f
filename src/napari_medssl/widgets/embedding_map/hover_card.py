"""The card beside a point: its picture, what is known of it, and its true neighbours."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QPoint, QRect, QSize, Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.embedding_map.session import MapSession

NEIGHBOURS = 6
_SIDE, _SMALL = 128, 36
_SPACE = 2  # px between neighbours
_WORDS = 260  # px at most
_GAP = 18  # px from the point
_MARGIN = 4  # px to the edge of the map


class HoverCard(QFrame):
    """Lies on the map beside the point that the mouse rests on; the mouse passes through it.

    Parameters
    ----------
    session
        What is known of the points.
    thumbnails
        Their pictures.
    over
        The map.
    """

    def __init__(self, session: MapSession, thumbnails: Thumbnails, over: QWidget) -> None:
        super().__init__(over)
        self._session = session
        self._thumbnails = thumbnails
        self.row = -1
        self._neighbours: tuple[int, ...] = ()
        self._point = QPoint()
        self.setObjectName("card")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self.picture = QLabel()
        self.picture.setFixedSize(_SIDE, _SIDE)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.nearest = QLabel("Nearest in truth")
        self.nearest.setToolTip("By the embeddings, not by the map")
        self.pictures = [QLabel() for _ in range(NEIGHBOURS)]
        row = QHBoxLayout()
        row.setSpacing(_SPACE)
        for small in self.pictures:
            small.setFixedSize(_SMALL, _SMALL)
            small.setAlignment(Qt.AlignmentFlag.AlignCenter)
            row.addWidget(small)
        row.addStretch(1)
        side = QVBoxLayout()
        side.addWidget(self.words, 1, Qt.AlignmentFlag.AlignTop)
        side.addWidget(self.nearest)
        side.addLayout(row)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(side, 1)
        thumbnails.ready.connect(self._on_picture)
        self.hide()

    def show_row(self, row: int, point: QPoint) -> None:
        """Show the card of a row beside a point of the map; hide it for row -1."""
        self.row, self._point = row, point
        if row < 0:
            self.hide()
            return
        room = self._room()
        count = min(NEIGHBOURS, (room + _SPACE) // (_SMALL + _SPACE))
        self._neighbours = tuple(self._session.neighbours_of(row)[:count])
        self.words.setMaximumWidth(min(room, _WORDS))
        self.words.setText("\n".join(self._session.facts(row)))
        self.nearest.setVisible(bool(self._neighbours))
        self._fill()
        self.raise_()
        self.show()  # before it is measured: until then the words have another font
        self.adjustSize()
        self.move(_place(self.size(), point, self.parentWidget()))

    def _room(self) -> int:
        """Return how wide what stands beside the picture can be: the map cuts off the rest."""
        layout, over = self.layout(), self.parentWidget()
        if layout is None or over is None:
            return _WORDS
        edges = layout.contentsMargins()
        taken = edges.left() + edges.right() + layout.spacing() + 2 * self.frameWidth()
        room: int = over.width() - 2 * _MARGIN - taken - _SIDE
        return max(_SMALL, room)

    def _fill(self) -> None:
        _set_picture(self.picture, self._thumbnails.get(str(self.row)), _SIDE)
        rows: Sequence[int] = self._neighbours
        for number, small in enumerate(self.pictures):
            small.setVisible(number < len(rows))
            if number < len(rows):
                _set_picture(small, self._thumbnails.get(str(rows[number])), _SMALL)

    def _on_picture(self, key: str) -> None:
        if self.isVisible() and int(key) in (self.row, *self._neighbours):
            self._fill()


def _set_picture(label: QLabel, picture: QPixmap | None, side: int) -> None:
    if picture is None or picture.isNull():
        label.clear()
        label.setStyleSheet("background: rgba(128, 128, 128, 50);")
        return
    keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    label.setStyleSheet("")
    label.setPixmap(picture.scaled(side, side, keep, smooth))


def _place(size: QSize, point: QPoint, over: QWidget | None) -> QPoint:
    """Return the corner of a card right of a point, or left, below or above: where room is."""
    room = QRect() if over is None else over.rect().adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
    right, left = point.x() + _GAP, point.x() - _GAP - size.width()
    below, above = point.y() + _GAP, point.y() - _GAP - size.height()
    lowest = max(room.top(), room.bottom() - size.height())
    if right + size.width() <= room.right():
        return QPoint(right, max(room.top(), min(below, lowest)))
    if left >= room.left():
        return QPoint(left, max(room.top(), min(below, lowest)))
    x = max(room.left(), min(right, room.right() - size.width()))
    return QPoint(x, above if below > lowest and above >= room.top() else min(below, lowest))
