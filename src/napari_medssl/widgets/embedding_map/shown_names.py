"""How the names of slides and patients are shown: as they are, or hidden as in the widget "Slides".

No Qt here; the link to the slides of the window says what is hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from psygnal import Signal

PATIENT = "patient"
"""The column whose values tell who it is; no short name stands for them."""


class ShownNames:
    """Hides names in texts; each slide has its short name instead.

    Attributes
    ----------
    changed
        Names are to be hidden from now on, or shown, or other ones.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._short: dict[str, str] = {}
        self._masked: Callable[[str], str] = str
        self.is_masked = False

    def show(self) -> None:
        """Show all names as they are."""
        if self.is_masked:
            self._short, self._masked, self.is_masked = {}, str, False
            self.changed.emit()

    def hide(self, names: Sequence[tuple[str, str]], masked: Callable[[str], str]) -> None:
        """Hide names.

        Parameters
        ----------
        names
            Of the slides of the map, each with the short one that is shown for it.
        masked
            Hides those of all other slides in a text.
        """
        # The longest first: "a.svs" is a part of "ba.svs".
        short = dict(sorted(names, key=lambda one: -len(one[0])))
        is_other = short != self._short or not self.is_masked
        self._short, self._masked, self.is_masked = short, masked, True
        if is_other:
            self.changed.emit()

    def text(self, text: str) -> str:
        """Return a message as it is to be shown: it may tell of any slide, and of paths."""
        return self._masked(self.name(text)) if self.is_masked and text else text

    def name(self, name: str) -> str:
        """Return the name of a row or a slide of the map as it is to be shown; that is quick."""
        for full, short in self._short.items():
            name = name.replace(full, short)
        return name

    def value(self, column: str, value: str) -> str:
        """Return a value of a column as it is to be shown, "" for a patient who is hidden."""
        if self.is_masked and column.casefold() == PATIENT:
            return ""
        return self.name(value)
