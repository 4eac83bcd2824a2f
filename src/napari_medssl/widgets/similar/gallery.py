"""The gallery of hits: pictures in rows, + and − on the one under the mouse, a click goes there."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QEvent, QModelIndex, QPoint, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QContextMenuEvent, QMouseEvent, QPainter, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QLabel,
    QListView,
    QMenu,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.index.results import Hit
from napari_medssl.widgets._buttons import add_entry, row_of
from napari_medssl.widgets.similar.gallery_model import (
    HIT_ROLE,
    MARK_ROLE,
    SIMILARITY_ROLE,
    GalleryModel,
)
from napari_medssl.widgets.similar.outlines import HIT as HIT_COLOR
from napari_medssl.widgets.similar.outlines import UNWANTED, WANTED

_LEAST, _MOST = 88, 160  # side of a picture
_PAD = 4
_CHIP = 22
MARKS = {"right": ("✓", WANTED), "wrong": ("✗", UNWANTED), "unsure": ("?", "#60646c")}
"""Words that a hit may be marked with, each with its sign and colour."""

_HINT = (
    "Open a slide and pick a tile on it,\nor drop a picture here.\n\nThe most similar tiles of the "
    "library\nappear here."
)


def sign_chips(cell: QRect) -> tuple[QRect, QRect]:
    """Return where + and − are on the cell of a hit."""
    top, right = cell.top() + _PAD + 3, cell.right() - _PAD - 3
    minus = QRect(right - _CHIP, top, _CHIP, _CHIP)
    return minus.translated(-_CHIP - 3, 0), minus


class HitDelegate(QStyledItemDelegate):
    """Paint a hit: picture, similarity, slide; + and − on the one under the mouse."""

    side = _LEAST
    """Pixels of a picture."""

    def sizeHint(self, option: Any, _index: QModelIndex) -> QSize:
        """Return the size of every cell."""
        lines = 2 * (option.fontMetrics.height() + 1)
        side = self.side + 2 * _PAD
        return QSize(side, side + lines)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint one cell."""
        painter.save()
        cell, role = option.rect, option.palette.ColorRole
        frame = QRect(cell.left() + _PAD, cell.top() + _PAD, self.side, self.side)
        picture = index.data(Qt.ItemDataRole.DecorationRole)
        painter.fillRect(frame, QColor(128, 128, 128, 50))
        if picture is not None and not picture.isNull():
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(frame, picture)
        if option.state & QStyle.StateFlag.State_Selected:
            pen = painter.pen()
            pen.setColor(QColor(HIT_COLOR))
            pen.setWidth(3)
            painter.setPen(pen)
            painter.drawRect(frame.adjusted(0, 0, -1, -1))
        painter.setPen(option.palette.color(role.Text))
        line = QRect(
            frame.left(), frame.bottom() + 2, frame.width(), option.fontMetrics.height() + 1
        )
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, str(index.data(SIMILARITY_ROLE)))
        font.setBold(False)
        painter.setFont(font)
        painter.setOpacity(0.75)
        name = option.fontMetrics.elidedText(
            str(index.data()), Qt.TextElideMode.ElideMiddle, line.width()
        )
        painter.drawText(line.translated(0, line.height()), Qt.AlignmentFlag.AlignVCenter, name)
        mark = MARKS.get(str(index.data(MARK_ROLE) or ""))
        if mark is not None:
            chip = QRect(frame.left() + 3, frame.bottom() - _CHIP - 2, _CHIP, _CHIP)
            painter.setOpacity(1.0)
            paint_chip(painter, chip, *mark)
        if option.state & QStyle.StateFlag.State_MouseOver:
            painter.setOpacity(1.0)
            for chip, sign, color in zip(sign_chips(cell), "+−", (WANTED, UNWANTED), strict=True):
                paint_chip(painter, chip, sign, color)
        painter.restore()


def paint_chip(painter: QPainter, chip: QRect, sign: str, color: str) -> None:
    """Paint a sign on a round ground."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(color))
    painter.drawEllipse(chip)
    painter.setPen(QColor("white"))
    font = painter.font()
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, sign)


class GalleryView(QListView):
    """The list; it tells of clicks on hits and on their signs.

    Signals
    -------
    opened
        The `Hit` that a person clicked, or pressed Enter on.
    signed
        A `Hit`, and True for + or False for −.
    marked
        A `Hit` and the word that it is marked with, "" for none any more.
    hovered
        The `Hit` under the mouse and where on the screen its cell is; None when there is none.
    """

    opened = Signal(object)
    signed = Signal(object, bool)
    hovered = Signal(object, object)
    marked = Signal(object, str)

    def __init__(self, model: GalleryModel) -> None:
        super().__init__()
        self.setModel(model)
        self._delegate = HitDelegate(self)
        self.setItemDelegate(self._delegate)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setSpacing(0)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        self.setAccessibleName("Similar tiles")
        self.setMinimumHeight(150)
        self._hovered = -1
        self._pressed = -1
        self.activated.connect(self._on_activated)

    def step(self, steps: int) -> None:
        """Go to the next hit, or back."""
        count = self.model().rowCount()
        if count:
            row = min(max(self.currentIndex().row() + steps, 0), count - 1)
            index = self.model().index(row, 0)
            self.setCurrentIndex(index)
            self.scrollTo(index)
            self.opened.emit(index.data(HIT_ROLE))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Make the pictures as large as fills the rows."""
        width = self.viewport().width() - 2
        columns = max(1, width // (_LEAST + 2 * _PAD))
        self._delegate.side = min(_MOST, width // columns - 2 * _PAD)
        super().resizeEvent(event)

    def _on_activated(self, index: QModelIndex) -> None:
        # A mouse click is told by `mouseReleaseEvent`; some desktops activate by it as well.
        if self._pressed < 0 and index.isValid():
            self.opened.emit(index.data(HIT_ROLE))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Note which hit is pressed."""
        if event is None:
            return
        place = event.position().toPoint()
        self._pressed = self.indexAt(place).row()
        if self._sign_at(place) is None:
            super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Go to the hit that was clicked, or add it to the examples."""
        if event is None:
            return
        place = event.position().toPoint()
        index = self.indexAt(place)
        is_click = event.button() == Qt.MouseButton.LeftButton and index.row() == self._pressed
        sign = self._sign_at(place)
        if sign is None:
            super().mouseReleaseEvent(event)
        self._pressed = -1
        if is_click and index.isValid():
            hit = index.data(HIT_ROLE)
            if sign is None:
                self.opened.emit(hit)
            else:
                self.signed.emit(hit, sign)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        """Offer to mark the hit under the mouse."""
        index = QModelIndex() if event is None else self.indexAt(event.pos())
        if event is not None and index.isValid():
            self.mark_menu(index.data(HIT_ROLE)).popup(event.globalPos())

    def mark_menu(self, hit: Hit) -> QMenu:
        """Return the menu that marks a hit."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for word, (sign, _) in MARKS.items():
            tip = "The mark is kept in the library"
            add_entry(menu, f"{sign} Mark as {word}", tip, partial(self.marked.emit, hit, word))
        add_entry(menu, "Take the mark off", "", partial(self.marked.emit, hit, ""))
        return menu

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Tell which hit is under the mouse."""
        super().mouseMoveEvent(event)
        if event is not None:
            self._hover(self.indexAt(event.position().toPoint()))

    def leaveEvent(self, event: QEvent | None) -> None:
        """Tell that no hit is under the mouse."""
        super().leaveEvent(event)
        self._hover(QModelIndex())

    def _hover(self, index: QModelIndex) -> None:
        row = index.row() if index.isValid() else -1
        if row == self._hovered:
            return
        self._hovered = row
        hit = index.data(HIT_ROLE) if row >= 0 else None
        cell = self.visualRect(index) if row >= 0 else QRect()
        self.hovered.emit(hit, QRect(self.viewport().mapToGlobal(cell.topLeft()), cell.size()))

    def _sign_at(self, place: QPoint) -> bool | None:
        """Return True over the + of a hit, False over its −, None elsewhere."""
        index = self.indexAt(place)
        if not index.isValid():
            return None
        plus, minus = sign_chips(self.visualRect(index))
        if plus.contains(place):
            return True
        return False if minus.contains(place) else None


class Gallery(QWidget):
    """The list with a line that counts, and words where there is nothing."""

    def __init__(self, model: GalleryModel, export: QMenu) -> None:
        super().__init__()
        self.view = GalleryView(model)
        self._model = model
        self.count = QLabel()
        self.count.setToolTip("How many hits, and how sure the search is that none is missed")
        self.hint = QLabel(_HINT, self.view)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setWordWrap(True)
        self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        over = QVBoxLayout(self.view)
        over.addWidget(self.hint)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.view, 1)
        button = QPushButton("Export")
        button.setToolTip("Write the hits into a file")
        button.setMenu(export)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        row = row_of([self.count, button])
        row.setStretch(0, 1)
        layout.addLayout(row)
        model.modelReset.connect(self._on_reset)

    def _on_reset(self) -> None:
        self.hint.setVisible(not self._model.rowCount())

    def say(self, hint: str) -> None:
        """Show other words where there is nothing; "" for the usual ones."""
        self.hint.setText(hint or _HINT)
