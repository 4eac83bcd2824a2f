"""Our keys in one list: it binds them to layers or the viewer, and prints the cheat sheet.

napari does nothing with the keybindings of a manifest, so they are bound here. The digits belong
to napari's own layer tools and are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget


@dataclass(frozen=True)
class Shortcut:
    """A key and what it does.

    `keys` is written as napari writes it: "Control-Z", "Shift-Tab", "Delete". `group` is the
    heading in the cheat sheet; `action` takes no argument and its result is dropped.
    """

    keys: str
    title: str
    group: str
    action: Callable[[], object]

    def __post_init__(self) -> None:
        if self.keys.isdecimal():
            raise ValueError(
                f"Key {self.keys!r} belongs to napari's layer tools; choose a letter or a "
                "combination such as 'Shift-1'."
            )

    @property
    def shown(self) -> str:
        """The keys as this system writes them: "Ctrl+Z", or the signs of a Mac."""
        names = {
            "Control": "Ctrl",
            "Escape": "Esc",
            "Delete": "Del",
            "Insert": "Ins",
            "PageUp": "PgUp",
            "PageDown": "PgDown",
        }
        if self.keys == "-":
            return "-"
        parts = [names.get(part, part) for part in _split(self.keys)]
        native = QKeySequence.SequenceFormat.NativeText
        return str(QKeySequence("+".join(parts)).toString(native))


def _split(keys: str) -> list[str]:
    """Return the parts of "Control-Shift--": the last one may be the minus sign itself."""
    if keys.endswith("--"):
        return [*keys[:-2].split("-"), "-"]
    return keys.split("-")


class ShortcutRegistry:
    """The shortcuts of one widget, in the order of the cheat sheet.

    Parameters
    ----------
    shortcuts
        The first ones; `add` takes more.
    """

    def __init__(self, shortcuts: Iterable[Shortcut] = ()) -> None:
        self._shortcuts: dict[str, Shortcut] = {}
        for shortcut in shortcuts:
            self.add(shortcut)

    def add(self, shortcut: Shortcut) -> None:
        """Add a shortcut; two on one key are a fault of ours and refused."""
        taken = self._shortcuts.get(shortcut.keys)
        if taken is not None:
            raise ValueError(
                f"Key {shortcut.keys!r} already does {taken.title!r}; {shortcut.title!r} needs "
                "another one."
            )
        self._shortcuts[shortcut.keys] = shortcut

    def __iter__(self) -> Any:
        return iter(self._shortcuts.values())

    def bind(self, target: Any) -> None:
        """Bind every shortcut to a layer or a viewer, over napari's own binding of that key."""
        for shortcut in self:
            target.bind_key(shortcut.keys, _as_handler(shortcut.action), overwrite=True)

    def unbind(self, target: Any) -> None:
        """Give the keys of a layer or a viewer back to napari."""
        for shortcut in self:
            target.bind_key(shortcut.keys, None, overwrite=True)

    def groups(self) -> dict[str, list[Shortcut]]:
        """Return the shortcuts by group, both in the order of adding."""
        found: dict[str, list[Shortcut]] = {}
        for shortcut in self:
            found.setdefault(shortcut.group, []).append(shortcut)
        return found

    def as_html(self) -> str:
        """Return the cheat sheet as a table."""
        rows = []
        for group, shortcuts in self.groups().items():
            rows.append(f"<tr><th colspan='2' align='left'>{escape(group)}</th></tr>")
            rows += [
                f"<tr><td><b>{escape(s.shown)}</b>&nbsp;&nbsp;</td><td>{escape(s.title)}</td></tr>"
                for s in shortcuts
            ]
        return f"<table cellspacing='4'>{''.join(rows)}</table>"


def passed_on(event: QKeyEvent | None) -> bool:
    """Pass on a key that writes a sign, and say whether it was one.

    A list that has the focus would look for a row that begins with it: the tools of napari and our
    commands would do nothing after a click on an image.
    """
    if event is None or not event.text().isprintable() or not event.text():
        return False
    event.ignore()
    return True


def _as_handler(action: Callable[[], object]) -> Callable[[Any], None]:
    def handle(target: Any) -> None:  # napari hands over the layer or viewer
        action()

    return handle


class CheatSheet(QDialog):
    """A window with every shortcut of a registry."""

    def __init__(self, registry: ShortcutRegistry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        text = QTextBrowser()
        text.setHtml(registry.as_html())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(buttons)
        self.resize(460, 640)
