"""A small square in the colour of a class."""

from __future__ import annotations

from qtpy.QtGui import QColor, QIcon, QPixmap

_SIDE = 14


def class_icon(color: str) -> QIcon:
    """Return a square of a colour, "#rrggbb", the same in a row that is selected."""
    square = QPixmap(_SIDE, _SIDE)
    square.fill(QColor(color))
    icon = QIcon(square)
    icon.addPixmap(square, QIcon.Mode.Selected)  # Qt would mix it with that of the selection
    return icon
