"""The keys of the canvas in the lists of the widget too, and nothing typed here gets to napari.

Without this a list takes a letter for a search, and Enter in a text field would go on to the
window, whose canvas accepts the figure by it.
"""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QWidget

from napari_medssl.widgets._shortcuts import ShortcutRegistry

_QT_NAMES = {
    "Control": "Ctrl",
    "Enter": "Return",
    "Delete": "Del",
    "Escape": "Esc",
    "PageUp": "PgUp",
    "PageDown": "PgDown",
}
# A list or table needs these itself, with any modifier.
_OF_LISTS = {"Up", "Down", "Left", "Right", "Tab", "Backtab", "PgUp", "PgDown"}


class KeyRelay(QObject):
    """Run the shortcuts of a registry for keys pressed in some item views.

    Parameters
    ----------
    owner
        The widget that keeps every key pressed inside it.
    keys
        What to run.
    views
        Lists and tables whose keys are ours, while no cell is edited.
    """

    def __init__(
        self, owner: QWidget, keys: ShortcutRegistry, views: list[QAbstractItemView]
    ) -> None:
        super().__init__(owner)
        self._owner = owner
        self._views = views
        self._actions: dict[str, Callable[[], object]] = {}
        for shortcut in keys:
            parts = [_QT_NAMES.get(part, part) for part in shortcut.keys.split("-")]
            if parts[-1] not in _OF_LISTS:
                self._actions["+".join(parts)] = shortcut.action
        self._actions["Enter"] = self._actions["Return"]  # the key of the number pad
        for watched in (owner, *views):
            watched.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Run what a key stands for; stop what nobody inside the widget wanted."""
        if event is None or event.type() != QEvent.Type.KeyPress:
            return False
        assert isinstance(event, QKeyEvent)
        if watched is self._owner:
            event.accept()
            return True
        if any(view.state() == QAbstractItemView.State.EditingState for view in self._views):
            return False
        text = QKeySequence(event.keyCombination()).toString(
            QKeySequence.SequenceFormat.PortableText
        )
        action = self._actions.get(text)
        if action is None:
            return False
        action()
        return True
