"""The two lines at the foot of a widget: what went wrong, and what was done last."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

ERROR_COLOR = "#e5484d"


class Messages(QWidget):
    """An error line above a status line; each is hidden while it is empty.

    An error takes what was said before with it: a success beside it would be believed.

    Parameters
    ----------
    masked
        Returns a text with the names hidden that are not to be shown; by default as it is.
    """

    def __init__(self, masked: Callable[[str], str] = str) -> None:
        super().__init__()
        self._masked = masked
        self.error, self.status = QLabel(), QLabel()
        self.status.setToolTip("What was done last")
        self.error.setStyleSheet(f"color: {ERROR_COLOR};")
        self.error.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for label in (self.error, self.status):
            label.setWordWrap(True)
            label.hide()
            layout.addWidget(label)

    def tell(self, text: str, is_error: bool) -> None:
        """Show a line: an error, or what was done, which removes the error."""
        self.refuse(text if is_error else "")
        if not is_error:
            self.say(text)

    def refuse(self, text: str) -> None:
        """Show an error; an empty text removes it."""
        if text:
            self.say("")
        self._show(self.error, text)

    def say(self, text: str) -> None:
        """Show what was done; an empty text removes it."""
        self._show(self.status, text)

    def mask_again(self) -> None:
        """Hide names in what was said before they were to be hidden."""
        for label in (self.error, self.status):
            label.setText(self._masked(label.text()))

    def _show(self, label: QLabel, text: str) -> None:
        label.setText(self._masked(text))
        label.setVisible(bool(text))


def wrapped(tip: str) -> QLabel:
    """Return an empty line of words with a tooltip, wrapped where the page is narrow."""
    label = QLabel()
    label.setWordWrap(True)
    label.setToolTip(tip)
    return label
