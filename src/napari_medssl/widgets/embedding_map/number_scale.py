"""The legend of a number: a strip of colours with the numbers of its ends."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_medssl.state.number_colors import number_colors

_BAR = 18


class NumberScale(QWidget):
    """A strip of colours with the numbers of its ends."""

    def __init__(self) -> None:
        super().__init__()
        self._low, self._high = 0.0, 1.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_range(self, low: float, high: float) -> None:
        """Show the numbers of other ends."""
        self._low, self._high = low, high
        self.update()

    def sizeHint(self) -> QSize:
        """Return the size that is due."""
        return QSize(200, 2 * _BAR + 4)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint strip and numbers."""
        painter = QPainter(self)
        strip = np.ascontiguousarray(number_colors(np.linspace(0, 1, 256), 0.0, 1.0))
        image = QImage(strip.tobytes(), 256, 1, 768, QImage.Format.Format_RGB888)
        painter.drawImage(QRect(0, 2, self.width(), _BAR), image)
        line = QRect(0, _BAR + 4, self.width(), _BAR)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, f"{self._low:.3g}")
        painter.drawText(line, Qt.AlignmentFlag.AlignRight, f"{self._high:.3g}")
        painter.end()
