"""The gallery: pictures of what is selected on the map; what is picked in it lights up there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QLabel,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.widgets._item_list import RowsView
from napari_medssl.widgets.embedding_map.gallery_model import COLOR_ROLE, ROW_ROLE, GalleryModel
from napari_medssl.widgets.embedding_map.painting import PICKED

SIDE = 76
_PAD = 3
_STRIPE = 4  # px below a picture, in the colour of its point
_HINT = "Select points on the map:\ntheir pictures appear here."


class _PictureDelegate(QStyledItemDelegate):
    """Paints a picture above a stripe of its point's colour, and a ring around a picked one."""

    def sizeHint(self, _option: Any, _index: QModelIndex) -> QSize:
        """Return the size of every cell."""
        return QSize(SIDE + 2 * _PAD, SIDE + _STRIPE + 2 * _PAD)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint one cell."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        area = option.rect.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        frame = area.adjusted(0, 0, 0, -_STRIPE)
        painter.fillRect(frame, QColor(128, 128, 128, 50))
        picture = index.data(Qt.ItemDataRole.DecorationRole)
        if picture is not None and not picture.isNull():
            size = picture.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
            place = QRect(frame.topLeft(), size)
            place.moveCenter(frame.center())
            painter.drawPixmap(place, picture)
        stripe = QRect(area.left(), frame.bottom() + 1, area.width(), _STRIPE)
        painter.fillRect(stripe, QColor(*index.data(COLOR_ROLE)))
        if option.state & QStyle.StateFlag.State_Selected:
            pen = painter.pen()
            pen.setColor(PICKED)
            pen.setWidth(3)
            painter.setPen(pen)
            painter.drawRect(area.adjusted(1, 1, -2, -2))
        painter.restore()


class GalleryView(RowsView):
    """The list of pictures.

    Signals
    -------
    picked
        Rows of the map that are picked in it, int64 (M,).
    opened
        The row that was double-clicked, or Enter pressed on.
    hovered
        The row under the mouse, -1 for none.
    """

    picked = Signal(object)
    opened = Signal(int)
    hovered = Signal(int)

    def __init__(self, model: GalleryModel) -> None:
        super().__init__()
        self.setModel(model)
        self._delegate = _PictureDelegate(self)
        self.setItemDelegate(self._delegate)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)  # of a million rows a few at a time
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        self.setAccessibleName("Pictures of the selection")
        self.setMinimumHeight(SIDE + 2 * _PAD + _STRIPE + 6)
        self.selectionModel().selectionChanged.connect(self._on_picked)
        self.activated.connect(self._on_activated)
        model.modelReset.connect(self._on_reset)

    def picked_rows(self) -> NDArray[np.int64]:
        """Return the rows of the map that are picked, in the order of the list."""
        numbers = sorted(index.row() for index in self.selectionModel().selectedIndexes())
        return np.array([self.model().index(n, 0).data(ROW_ROLE) for n in numbers], np.int64)

    def _on_reset(self) -> None:
        self.picked.emit(np.zeros(0, np.int64))

    def _on_picked(self, *_: Any) -> None:
        self.picked.emit(self.picked_rows())

    def _on_activated(self, index: QModelIndex) -> None:
        if index.isValid():
            self.opened.emit(index.data(ROW_ROLE))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Tell which picture is under the mouse."""
        super().mouseMoveEvent(event)
        if event is not None:
            index = self.indexAt(event.position().toPoint())
            self.hovered.emit(index.data(ROW_ROLE) if index.isValid() else -1)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Tell that none is."""
        super().leaveEvent(event)
        self.hovered.emit(-1)


class Gallery(QWidget):
    """The list, a line that counts, and words where there is nothing."""

    def __init__(self, model: GalleryModel) -> None:
        super().__init__()
        self.view = GalleryView(model)
        self.count = QLabel()
        self._model = model
        self.hint = QLabel(_HINT, self.view)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        over = QVBoxLayout(self.view)
        over.addWidget(self.hint)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.count)
        layout.addWidget(self.view, 1)
        model.modelReset.connect(self._on_reset)

    def _on_reset(self) -> None:
        self.hint.setVisible(not self._model.rowCount())
