"""Ask before the window closes, and act only once it has."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_medssl.widgets._window_events import CloseGuard

pytestmark = pytest.mark.gui


class Window(QMainWindow):
    """A window that asks a question of its own when it is closed, as napari's does."""

    answer = True

    def closeEvent(self, event):
        loop = QEventLoop()
        QTimer.singleShot(300, loop.quit)  # longer than the guard waits for the end of it
        loop.exec()
        event.setAccepted(self.answer)


@pytest.fixture
def guarded(qtbot):
    """A window with a guarded widget in a dock, and what the guard did."""
    window, dock, widget, done = Window(), QDockWidget(), QWidget(), []
    qtbot.addWidget(window)
    guard = CloseGuard(widget, lambda: done.append("asked") is None, lambda: done.append("closed"))
    dock.setWidget(widget)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.show()
    qtbot.waitExposed(window)
    yield window, dock, widget, done
    guard.deleteLater()


def test_what_the_window_asks_itself_may_be_answered_no(guarded):
    window, _, widget, done = guarded
    window.answer = False
    assert not window.close()
    assert done == ["asked"]
    QTest.qWait(400)  # no deeper loop: that would look like the question still open
    window.hide()  # has nothing to do with it
    assert done == ["asked"]
    window.show()
    window.answer = True
    assert window.close()
    assert done == ["asked", "asked", "closed"]
    assert not widget.isVisible()


def test_a_dock_that_closes_ends_it_at_once(guarded):
    _, dock, _, done = guarded
    dock.close()
    assert done == ["asked", "closed"]


def test_a_widget_taken_out_of_its_dock_is_closed(qtbot, guarded):
    _, _, widget, done = guarded
    widget.setParent(None)  # what the cross on a dock of napari does
    qtbot.waitUntil(lambda: done == ["closed"])
    widget.deleteLater()


def test_a_widget_that_moves_to_another_dock_is_not(guarded):
    window, _, widget, done = guarded
    other = QDockWidget()
    other.setWidget(widget)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, other)
    QTest.qWait(50)
    assert done == []
