"""The keys of the widget while the map has the keyboard: napari's own wait until it has not."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QWidget

from napari_medssl.widgets._shortcuts import Shortcut, ShortcutRegistry


class MapKeys(QObject):
    """Runs shortcuts for keys that are pressed in a widget.

    Parameters
    ----------
    keys
        What each key does.
    target
        The widget.
    """

    def __init__(self, keys: ShortcutRegistry, target: QWidget) -> None:
        super().__init__(target)
        self._shortcuts: dict[str, Shortcut] = {}
        for shortcut in keys:
            text = QKeySequence(shortcut.shown, QKeySequence.SequenceFormat.NativeText)
            self._shortcuts[text.toString()] = shortcut
        target.installEventFilter(self)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Take a key that is ours."""
        kinds = QEvent.Type
        if event is None or event.type() not in (kinds.KeyPress, kinds.ShortcutOverride):
            return False
        assert isinstance(event, QKeyEvent)
        shortcut = self._shortcuts.get(QKeySequence(event.keyCombination()).toString())
        if shortcut is None:
            return False
        event.accept()  # of an override: the key comes to the map, not to napari's menus
        if event.type() == kinds.KeyPress:
            shortcut.action()
        return True
