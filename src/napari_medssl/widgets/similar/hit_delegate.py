"""How a hit is painted: picture, similarity, slide, its mark, and signs to click."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex, QRect, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from napari_medssl.widgets.similar.gallery_model import MARK_ROLE, SIMILARITY_ROLE, STAIN_ROLE
from napari_medssl.widgets.similar.outlines import HIT as HIT_COLOR
from napari_medssl.widgets.similar.outlines import UNWANTED, WANTED

LEAST_SIDE, MOST_SIDE, PAD = 88, 160, 4
"""Side of a picture, and what is around it."""

_CHIP = 22
MARKS = {"right": ("✓", WANTED), "wrong": ("✗", UNWANTED), "unsure": ("?", "#60646c")}
"""Words that a hit may be marked with, each with its sign and colour."""
STAIN_COLOR = "#f76b15"
"""Of the badge of hits that are due to stain."""


def sign_chips(cell: QRect) -> tuple[QRect, QRect]:
    """Return where + and − are on the cell of a hit."""
    top, right = cell.top() + PAD + 3, cell.right() - PAD - 3
    minus = QRect(right - _CHIP, top, _CHIP, _CHIP)
    return minus.translated(-_CHIP - 3, 0), minus


class HitDelegate(QStyledItemDelegate):
    """Paint a hit: picture, similarity, slide; + and − on the one under the mouse."""

    side = LEAST_SIDE
    """Pixels of a picture."""

    def sizeHint(self, option: Any, _index: QModelIndex) -> QSize:
        """Return the size of every cell."""
        lines = 2 * (option.fontMetrics.height() + 1)
        side = self.side + 2 * PAD
        return QSize(side, side + lines)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint one cell."""
        painter.save()
        cell, role = option.rect, option.palette.ColorRole
        frame = QRect(cell.left() + PAD, cell.top() + PAD, self.side, self.side)
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
        if index.data(STAIN_ROLE):
            painter.setOpacity(1.0)
            paint_chip(
                painter, QRect(frame.left() + 3, frame.top() + 3, _CHIP, _CHIP), "S", STAIN_COLOR
            )
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
