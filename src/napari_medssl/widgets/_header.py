"""The first row of a widget: its menus, what is open, and the keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QWidget

from napari_medssl.widgets._buttons import ToolButton


class Header(QWidget):
    """Buttons with menus, a title, and a button for the cheat sheet.

    Parameters
    ----------
    menus
        Words on each button, words when the mouse rests on it, and its menu.
    show_keys
        Shows the cheat sheet.

    Attributes
    ----------
    title
        Names what is open.
    """

    def __init__(
        self, menus: Iterable[tuple[str, str, QMenu]], show_keys: Callable[[], object]
    ) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for text, tip, menu in menus:
            button = QPushButton(text)
            button.setToolTip(tip)
            button.setMenu(menu)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            row.addWidget(button)
        self.title = QLabel()
        row.addWidget(self.title, 1)
        row.addWidget(ToolButton("?", "Show all keys (F1)", show_keys))
