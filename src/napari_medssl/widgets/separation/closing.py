"""Ask before a window with unsaved work closes.

napari has no hook for that, so this looks at the close events of the window and of the dock that
hold the widget, which Qt lets any object do.
"""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QDockWidget, QWidget


class CloseGuard(QObject):
    """Call `may_close` before the window or the dock around a widget closes.

    Parameters
    ----------
    widget
        The widget that is guarded.
    may_close
        Returns False to stay open.
    """

    def __init__(self, widget: QWidget, may_close: Callable[[], bool]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._may_close = may_close
        self._watched: list[QObject] = []
        widget.installEventFilter(self)

    def _watch(self) -> None:
        """Look at the window and the dock: known once the widget is shown, new if it is moved."""
        found: list[QObject] = [self._widget.window()]
        parent = self._widget.parentWidget()
        while parent is not None:
            if isinstance(parent, QDockWidget):
                found.append(parent)
            parent = parent.parentWidget()
        for thing in found:
            if thing is not self._widget and thing not in self._watched:
                thing.installEventFilter(self)
                self._watched.append(thing)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Stop a close event that the person took back."""
        if event is None:
            return False
        kind = event.type()
        if watched is self._widget:
            if kind in (QEvent.Type.Show, QEvent.Type.ParentChange):
                self._watch()
            return False
        if kind == QEvent.Type.Close and not self._may_close():
            event.ignore()
            return True
        return False
