"""Offer once that napari reads slides in the background: its default stalls the window."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from napari_medssl.widgets import _settings
from napari_medssl.widgets._buttons import PushButton, row_of

REASON = (
    "As napari is set now, the window stands still until each new part of a slide is read. With "
    "asynchronous slicing it stays responsive, and the part appears when it is there."
)


def _experimental() -> Any:
    from napari.settings import get_settings

    return get_settings().experimental


class AsyncOffer(QFrame):
    """A line with two buttons: not a dialog, for a person who opens a slide wants to see it.

    The answer is remembered on this machine; the plugin's settings bring the question back.

    Signals
    -------
    answered
        True if asynchronous slicing was switched on.
    """

    answered = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        words = QLabel(f"<b>Smoother panning?</b> {REASON}")
        words.setWordWrap(True)
        self.accept_button = PushButton(
            "Switch on",
            "For all layers; Preferences > Experimental has the switch",
            self.accept,
        )
        self.decline_button = PushButton(
            "Not now",
            "Leave it off and do not ask again; Preferences > Plugins can bring the question back",
            self.decline,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(words)
        layout.addLayout(row_of([self.accept_button, self.decline_button]))
        self.hide()

    def offer(self) -> None:
        """Show the question, unless it was answered or the setting is on."""
        if not _experimental().async_ and _settings.read_settings().has_async_offer:
            self.show()

    def accept(self) -> None:
        """Switch asynchronous slicing on."""
        _experimental().async_ = True
        self._answer(True)

    def decline(self) -> None:
        """Leave it off."""
        self._answer(False)

    def _answer(self, is_on: bool) -> None:
        _settings.forget_async_offer()
        self.hide()
        self.answered.emit(is_on)
