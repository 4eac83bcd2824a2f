"""Say where a slide lies now that was moved or renamed."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.state.slide_entry import SlideEntry, look_at
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.slides.library_files import PATTERNS
from napari_medssl.widgets.slides.session import SlidesSession


class Relocation(QObject):
    """Asks for the file, looks at it in a thread, and takes it if it is the same slide.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: SlidesSession, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self.background = Background("medssl-slides", self)

    def ask(self, key: int) -> None:
        """Ask where a slide lies now."""
        title = f"Where is {self._session.title(key)}?"
        chosen, _ = QFileDialog.getOpenFileName(
            self._parent, title, "", f"Slides ({PATTERNS});;All files (*)"
        )
        if chosen:
            self.relocate(key, chosen)

    def relocate(self, key: int, source: str) -> None:
        """Look for a slide at another place; refused if it is another slide."""
        former = self._session.entry(key).source
        self.background.submit(
            "relocate",
            partial(look_at, SlideEntry(source)),
            partial(self._found, key, former),
            self._on_error,
        )

    def _found(self, key: int, former: str, entry: SlideEntry) -> None:
        if not self._session.has(key) or self._session.entry(key).source != former:
            return  # another library is open by now
        try:
            self._session.library.relocate(key, entry)
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(f"{self._session.title(key)} was found again.", False)

    def _on_error(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)
