"""The lines at the foot of the widget: what was done, what went wrong, and whether it is saved."""

from __future__ import annotations

from qtpy.QtCore import QTimer

from napari_medssl.widgets._messages import Messages
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.session import MaskSession

_SAVED_MS = 500


class SetMessages(Messages):
    """What went wrong is told together: one error does not take the place of another.

    Parameters
    ----------
    session, layers
        The set, and what shows its images.
    """

    def __init__(self, session: MaskSession, layers: MaskLayers) -> None:
        super().__init__()
        self._session, self._layers = session, layers
        self._words = self._wrong = self._not_shown = ""
        layers.failed.connect(self._on_not_shown)
        session.current_changed.connect(self._on_current)
        session.set_changed.connect(self._on_set)
        self._timer = QTimer(self)
        self._timer.setInterval(_SAVED_MS)
        self._timer.timeout.connect(self._show_all)
        self._timer.start()

    def tell(self, text: str, is_error: bool) -> None:
        """Show a line: an error, or what was done, which removes the errors."""
        self._words, self._wrong = ("", text) if is_error else (text, "")
        self._not_shown = ""
        self._show_all()

    def stop(self) -> None:
        """Look no more whether all is saved."""
        self._timer.stop()

    def _on_not_shown(self, text: str) -> None:
        self._not_shown = text
        self._show_all()

    def _on_current(self) -> None:
        self._not_shown = ""
        self._show_all()

    def _on_set(self) -> None:
        self._words = self._not_shown = ""  # they are not of a set that is closed
        self._show_all()

    def _show_all(self) -> None:
        folder = self._session.folder
        wrong, state = self._wrong, ""
        if folder is not None and not folder.is_closed:
            is_saved = folder.is_saved and not self._layers.is_waiting
            state = "autosaved" if is_saved else "saving ..."
            if folder.save_error is not None:
                line = f"Changes cannot be saved: {folder.save_error}. They are kept in memory."
                # What was told of another disk, such as of masks saved there, is said too.
                wrong = f"{line} {self._wrong or self._words}".rstrip()
        wrong = " ".join(part for part in (wrong, self._not_shown) if part)
        if wrong != self.error.text():
            self.refuse(wrong)
        words = "" if wrong else " · ".join(part for part in (self._words, state) if part)
        if words != self.status.text():
            self.say(words)
