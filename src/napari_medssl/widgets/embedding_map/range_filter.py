"""The histogram of a column; a range that is dragged in it keeps only the rows inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

BINS = 48
"""Bars of a column; fewer where its numbers are whole."""

_HEIGHT = 64
_LINE = 16  # px below the bars, for the numbers


class RangeFilter(QWidget):
    """Bars of how often values occur: all of them pale, those of the rows shown on top of it.

    Drag over the bars to keep a range; a double click or Esc keeps all again.

    Signals
    -------
    changed
        Another range is kept, or all.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._edges: NDArray[np.float64] = np.linspace(0, 1, BINS + 1)
        self._ends = (0.0, 1.0)
        self._all = np.zeros(BINS, np.int64)
        self._shown = np.zeros(BINS, np.int64)
        self._from: float | None = None
        self._kept: tuple[float, float] | None = None
        self._values: NDArray[np.float64] = np.zeros(0)
        self.setToolTip("Drag over the bars to keep a range; double click to keep all")
        self.setAccessibleName("Histogram filter")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)

    @property
    def kept(self) -> tuple[float, float] | None:
        """Least and greatest value that is kept, None while all are."""
        return self._kept

    @property
    def values(self) -> NDArray[np.float64]:
        """The values whose histogram it is."""
        return self._values

    def set_values(self, values: NDArray[np.float64]) -> None:
        """Show another column, all of it kept; values that are no number are in no bar."""
        self._values = values
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        # Beyond that there is nothing between two whole numbers.
        is_whole = len(finite) > 0 and max(-low, high) < 2**52 and not (finite % 1).any()
        self._ends = (low, high)
        if is_whole:
            self._edges = edges_of_whole(int(low), int(high))
        else:
            rim = 0.5 if high <= low else 0.0
            self._edges = np.linspace(low - rim, high + rim, BINS + 1)
        self._all = self._counts(np.ones(len(values), bool))
        self._shown, self._kept, self._from = self._all, None, None
        self.update()

    def set_shown(self, mask: NDArray[np.bool_]) -> None:
        """Show how the values of these rows are spread, shape (N,)."""
        self._shown = self._counts(mask)
        self.update()

    def mask(self) -> NDArray[np.bool_] | None:
        """Return the rows that are kept, None while all are; a row without a number is not."""
        if self._kept is None:
            return None
        return np.asarray((self._values >= self._kept[0]) & (self._values <= self._kept[1]))

    def keep(self, kept: tuple[float, float] | None) -> None:
        """Keep a range, or all."""
        if kept != self._kept:
            self._kept = kept
            self.update()
            self.changed.emit()

    def _counts(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        chosen = self._values[mask & np.isfinite(self._values)]
        return np.histogram(chosen, self._edges)[0].astype(np.int64)

    # -- mouse and keys --------------------------------------------------------------------------

    def _value_at(self, x: float) -> float:
        part = min(max(x / max(self.width(), 1), 0.0), 1.0)
        return float(self._edges[0] + part * (self._edges[-1] - self._edges[0]))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin a range."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._from = event.position().x()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Widen the range to the mouse."""
        if event is not None and self._from is not None:
            self._keep_to(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End the range."""
        self._from = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Keep all again."""
        self._from = None
        self.keep(None)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Esc keeps all again."""
        if event is not None and event.key() == Qt.Key.Key_Escape and self._kept is not None:
            self.keep(None)
        else:
            super().keyPressEvent(event)

    def _keep_to(self, x: float) -> None:
        if self._from is None or abs(x - self._from) < 2:  # a click that shakes is no range
            return
        low, high = sorted((self._value_at(self._from), self._value_at(x)))
        self.keep((low, high))

    # -- painting --------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        """Return the size that is due."""
        return QSize(200, _HEIGHT + _LINE)

    def minimumSizeHint(self) -> QSize:
        """Return the least size."""
        return QSize(80, _HEIGHT + _LINE)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint bars, range and numbers."""
        painter = QPainter(self)
        palette = self.palette()
        text = palette.color(QPalette.ColorRole.WindowText)
        accent = palette.color(QPalette.ColorRole.Highlight)
        if self._kept is not None:
            wash = palette.color(QPalette.ColorRole.Highlight)
            wash.setAlpha(60)
            painter.fillRect(self._kept_area(), wash)
        pale = palette.color(QPalette.ColorRole.WindowText)
        pale.setAlpha(60)
        most = max(1, int(self._all.max(initial=0)))
        for counts, color in ((self._all, pale), (self._shown, accent)):
            for number, count in enumerate(counts):
                painter.fillRect(self._bar(number, count / most), color)
        painter.setPen(text)
        line = QRectF(0, _HEIGHT, self.width(), _LINE)
        low, high = self._kept or self._ends
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, f"{low:.4g}")
        painter.drawText(line, Qt.AlignmentFlag.AlignRight, f"{high:.4g}")
        painter.end()

    def _bar(self, number: int, part: float) -> QRectF:
        width = self.width() / len(self._all)
        # A square root lets rare values be seen beside common ones.
        height = (_HEIGHT - 2) * float(np.sqrt(part))
        return QRectF(number * width, _HEIGHT - height, max(width - 1, 1), height)

    def _kept_area(self) -> QRectF:
        assert self._kept is not None
        span = self._edges[-1] - self._edges[0]
        left, right = ((value - self._edges[0]) / span * self.width() for value in self._kept)
        return QRectF(float(left), 0, max(float(right - left), 1), _HEIGHT)


def edges_of_whole(low: int, high: int) -> NDArray[np.float64]:
    """Return the edges of bars for whole numbers from `low` to `high`, both in.

    Each bar is of as many numbers as the next, and ends between two: bars of any other width have
    now one number more, now one less, and show spikes that are not in the column.
    """
    span = high - low + 1
    width = -(-span // BINS)
    return low - 0.5 + width * np.arange(-(-span // width) + 1, dtype=np.float64)
