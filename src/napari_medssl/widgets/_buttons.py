"""Buttons and menu entries that call a function, and rows of them.

The function belongs to the button itself: a slot of its own could be cleared by the collector
while the button still lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

_NARROW_PAD = 12


class PushButton(QPushButton):
    """A button that never takes the keyboard away from the canvas.

    Parameters
    ----------
    text, tip
        Words on it, words when the mouse rests on it.
    on_click
        Called without an argument.
    """

    def __init__(self, text: str, tip: str, on_click: Callable[[], object]) -> None:
        super().__init__(text)
        self.setToolTip(tip)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._on_click = on_click
        self.clicked.connect(self._run)

    def _run(self) -> None:
        self._on_click()


class NarrowButton(PushButton):
    """A button just as wide as its words need, wider where there is room.

    For rows of many: what Qt takes for the usual width would take room from the canvas.
    """

    def __init__(self, text: str, tip: str, on_click: Callable[[], object]) -> None:
        super().__init__(text, tip, on_click)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return the width of the words and a little."""
        width = self.fontMetrics().horizontalAdvance(self.text()) + _NARROW_PAD
        return QSize(width, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Return the same: the words are to be read whole."""
        return self.sizeHint()


class ToolButton(QToolButton):
    """A small button that never takes the keyboard; its parameters are those of `PushButton`."""

    def __init__(self, text: str, tip: str, on_click: Callable[[], object]) -> None:
        super().__init__()
        self.setText(text)
        self.setToolTip(tip)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._on_click = on_click
        self.clicked.connect(self._run)

    def _run(self) -> None:
        self._on_click()


def row_of(widgets: Iterable[QWidget]) -> QHBoxLayout:
    """Return the widgets side by side."""
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget)
    return row


class MenuEntry(QAction):
    """An entry of a menu; `action` is called without an argument."""

    def __init__(self, menu: QMenu, title: str, tip: str, action: Callable[[], object]) -> None:
        super().__init__(title, menu)
        self.setToolTip(tip)
        self._action = action
        self.triggered.connect(self._run)

    def _run(self) -> None:
        self._action()


def add_entry(menu: QMenu, title: str, tip: str, action: Callable[[], object]) -> MenuEntry:
    """Add an action with a tooltip to a menu and return it."""
    entry = MenuEntry(menu, title, tip, action)
    menu.addAction(entry)
    menu.setToolTipsVisible(True)
    return entry
