"""Which row the mouse is at: looked up at most every 50 ms, told again when the mouse rests."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QPointF, QTimer, Signal

THROTTLE_MS = 50
DWELL_MS = 125


class Hover(QObject):
    """Follows the mouse.

    Parameters
    ----------
    find
        Returns the row at a point of the widget, -1 for none.
    parent
        Qt parent.

    Signals
    -------
    moved
        Where the mouse is, at most every 50 ms.
    changed
        The row there, when it is another one; -1 for none.
    rested
        The row, once the mouse has stayed at it for 125 ms.
    """

    moved = Signal(QPointF)
    changed = Signal(int)
    rested = Signal(int)

    def __init__(self, find: Callable[[QPointF], int], parent: QObject) -> None:
        super().__init__(parent)
        self._find = find
        self._at: QPointF | None = None
        self.row = -1
        self._throttle = self._timer(THROTTLE_MS, self._look)
        self._dwell = self._timer(DWELL_MS, self._rest)

    def follow(self, at: QPointF) -> None:
        """Take where the mouse is now."""
        self._at = QPointF(at)
        if not self._throttle.isActive():
            self._throttle.start()

    def leave(self) -> None:
        """The mouse is elsewhere, or does something else."""
        self._at = None
        self._throttle.stop()
        self._take(-1)

    def look_again(self) -> None:
        """The points have moved under the mouse."""
        if self._at is not None and not self._throttle.isActive():
            self._throttle.start()

    def _look(self) -> None:
        if self._at is None:
            return
        self._take(self._find(self._at))
        self.moved.emit(self._at)

    def _take(self, row: int) -> None:
        if row == self.row:
            return
        self.row = row
        self._dwell.stop()
        if row >= 0:
            self._dwell.start()
        self.changed.emit(row)

    def _rest(self) -> None:
        self.rested.emit(self.row)

    def _timer(self, wait_ms: int, call: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(wait_ms)
        timer.timeout.connect(call)
        return timer
