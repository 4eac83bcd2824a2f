"""What the window does around the widget: it asks before it closes, keys reach whom they should.

napari has no hook for this, so these look at events of the window, the dock and the canvas, which
Qt lets any object do.
"""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, Qt, QThread, QTimer
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractSpinBox, QDockWidget, QLineEdit, QWidget

_LOOK_MS = 200


class CloseGuard(QObject):
    """Ask before the window or the dock around a widget closes, and act once it has closed.

    napari asks a question of its own after ours, and another widget may say no as well. So the
    answer yes to us does not mean that the window closes: it has when it is hidden.

    Parameters
    ----------
    widget
        The widget that is guarded.
    may_close
        Returns False to stay open.
    on_closed
        Called when the window or the dock has closed, or the widget was taken out of its dock,
        which is what the cross on the dock does, without a question.
    """

    def __init__(
        self, widget: QWidget, may_close: Callable[[], bool], on_closed: Callable[[], None]
    ) -> None:
        super().__init__(widget)
        self._widget = widget
        self._may_close = may_close
        self._on_closed = on_closed
        self._watched: list[QObject] = []
        self._is_asking = self._was_allowed = False
        self._level = 0
        self._look = QTimer(self)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self._forget_refused)
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
        if event is None or watched is None:
            return False
        kind = event.type()
        if watched is self._widget:
            if kind in (QEvent.Type.Show, QEvent.Type.ParentChange):
                self._watch()
            if kind == QEvent.Type.ParentChange and self._watched:
                QTimer.singleShot(0, self._end_if_taken_out)
            return False
        if kind == QEvent.Type.Close:
            return self._on_close(watched, event)
        if kind == QEvent.Type.Hide and self._was_allowed and not event.spontaneous():
            self._end()
        return False

    def _on_close(self, thing: QObject, event: QEvent) -> bool:
        if self._is_asking:  # asked again before it was answered
            event.ignore()
            return True
        self._is_asking = True
        try:
            may_close = self._may_close()
        finally:
            self._is_asking = False
        if not may_close:
            event.ignore()
            return True
        if isinstance(thing, QWidget) and thing.isWindow() and thing.isVisible():
            self._was_allowed, self._level = True, _loop_level()
            self._look.start()
        else:
            self._end()  # a dock, which nobody else asks about, or a window that is not shown
        return False

    def _forget_refused(self) -> None:
        """Forget that we agreed once the closing is over: its questions run deeper loops."""
        if _loop_level() <= self._level:
            self._look.stop()
            self._was_allowed = False

    def _end_if_taken_out(self) -> None:
        if self._widget.parentWidget() is None and not self._widget.isVisible():
            self._end()

    def _end(self) -> None:
        self._look.stop()
        self._was_allowed = False
        self._on_closed()


def _loop_level() -> int:
    """Return how many event loops run one in the other."""
    thread = QThread.currentThread()
    return 0 if thread is None else thread.loopLevel()


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


class FieldKeys(QObject):
    """Let Enter in a field of a widget end there.

    A line of text leaves Enter to its parents, and napari's window hands what is left to the layer
    that is selected: without this, Enter in a search would also do what Enter does on the canvas.

    Parameters
    ----------
    widget
        The widget that holds the fields.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        widget.installEventFilter(self)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Take Enter that a field has left."""
        if event is None or event.type() != QEvent.Type.KeyPress:
            return False
        assert isinstance(event, QKeyEvent)
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            return False
        if not isinstance(self._widget.window().focusWidget(), QLineEdit | QAbstractSpinBox):
            return False
        event.accept()
        return True
