"""What the window does around the widget: ask before it closes, and hand Tab to the canvas.

napari has no hook for either, so this looks at events of the window, the dock and the canvas,
which Qt lets any object do.
"""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
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


class TabKeys(QObject):
    """Call an action for Tab and Shift+Tab on the canvas: Qt would move the focus instead.

    Parameters
    ----------
    widget
        The widget whose window holds the canvas.
    is_wanted
        Returns whether the keys are ours now; if not, Qt does what it always does.
    on_tab
        Called with 1 for Tab, -1 for Shift+Tab.
    """

    def __init__(
        self, widget: QWidget, is_wanted: Callable[[], bool], on_tab: Callable[[int], None]
    ) -> None:
        super().__init__(widget)
        self._is_wanted = is_wanted
        self._on_tab = on_tab
        self._watched: list[QObject] = []
        self._window: QWidget | None = None

    def attach(self, window: QWidget) -> None:
        """Look at the canvases of a window; one that is known is passed over."""
        if window is self._window and self._watched:
            return  # to ask Qt for all widgets of a window takes it 5 to 20 ms
        self._window = window
        for child in window.findChildren(QWidget):
            if child.inherits("QOpenGLWidget") and child not in self._watched:
                child.installEventFilter(self)
                self._watched.append(child)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Take Tab before Qt does."""
        if event is None or event.type() != QEvent.Type.KeyPress or not self._is_wanted():
            return False
        assert isinstance(event, QKeyEvent)
        steps = {Qt.Key.Key_Tab: 1, Qt.Key.Key_Backtab: -1}
        step = steps.get(Qt.Key(event.key()))
        if step is None:
            return False
        self._on_tab(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else step)
        return True
