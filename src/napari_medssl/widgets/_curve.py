"""A small curve of losses, drawn while a training runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

_COLORS = ("#4c8dff", "#46d160", "#f7a63b", "#e93d82")
_SMOOTH = 0.1  # part of a new value in the running mean that is drawn
_COLUMNS = 200  # the width is so many parts, with one point in each: many take Qt long to draw
_PAD = 4.0
_LEAST = 1e-3  # less than this counts as nothing: noise would fill the height


class LossCurve(QWidget):
    """Running means of some values over the steps, each from 0 to its own maximum.

    The last of each stands below in words. A curve that never leaves 0 by much lies at the foot.

    Parameters
    ----------
    parent
        Qt parent.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: dict[str, str] = {}
        self._points: dict[str, list[tuple[int, float]]] = {}
        self._means: dict[str, float] = {}
        self._total = 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("How losses fall: running means, each from 0 to its own maximum")

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the rest."""
        return QSize(200, 120)

    def begin(self, names: Mapping[str, str]) -> None:
        """Forget all, and draw these values from now on: name and words of each."""
        self._names = dict(names)
        self._points = {name: [] for name in names}
        self._means = {}
        self.update()

    def add(self, step: int, total: int, values: Mapping[str, Any]) -> None:
        """Take in the values of a step."""
        self._total = max(1, total)
        for name in self._names:
            if name not in values:
                continue
            value = float(values[name])
            points = self._points[name]
            while points and points[-1][0] >= step:  # it goes on from an earlier step
                points.pop()
            mean = self._means.get(name, value)
            self._means[name] = mean = mean + _SMOOTH * (value - mean)
            if len(points) > 1 and self._column(points[-1][0]) == self._column(step):
                points.pop()  # the first one stays
            points.append((step, mean))
            if len(points) > 2 * _COLUMNS:  # there are more steps than were told before
                del points[1:-1:2]
        self.update()

    def points(self, name: str) -> list[tuple[int, float]]:
        """Return step and running mean of a value so far, of steps that lie apart when drawn."""
        return list(self._points.get(name, ()))

    @property
    def has_points(self) -> bool:
        """True if there is anything to draw."""
        return any(self._points.values())

    def top(self, name: str) -> float:
        """Return the value that is drawn at the full height."""
        return max(_LEAST, *(value for _, value in self._points[name]))

    def words(self, name: str) -> str:
        """Return what stands below of a value."""
        mean = self._means[name]
        is_small = 0 < abs(mean) < _LEAST
        return f"{self._names[name]} {f'< {_LEAST:g}' if is_small else f'{mean:.3g}'}"

    def _column(self, step: int) -> int:
        return step * _COLUMNS // self._total

    def paintEvent(self, _event: Any) -> None:
        """Draw the curves, and what they are."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = painter.fontMetrics().height()
        drawn = [name for name in self._names if self._points[name]]
        room = QRectF(self.rect()).adjusted(
            _PAD, _PAD, -_PAD, -_PAD - line * ((len(drawn) + 1) // 2)
        )
        painter.setPen(QPen(QColor(128, 128, 128, 120)))
        painter.drawRect(room)
        for number, name in enumerate(self._names):
            if name not in drawn:
                continue
            top = self.top(name)
            color = QColor(_COLORS[number % len(_COLORS)])
            painter.setPen(QPen(color, 1.6))
            painter.drawPolyline(
                QPolygonF(
                    [
                        QPointF(
                            room.left() + room.width() * step / self._total,
                            room.bottom() - room.height() * min(1.0, value / top),
                        )
                        for step, value in self._points[name]
                    ]
                )
            )
            place = drawn.index(name)
            words = self.words(name)
            half = room.width() / 2
            left = room.left() + half * (place % 2)
            foot = QRectF(left, room.bottom() + 2 + line * (place // 2), half, line)
            painter.drawText(foot, Qt.AlignmentFlag.AlignVCenter, words)
        painter.end()
