"""Begin or open another library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_medssl._errors import UserError
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.state.slide_library import SUFFIX, SlideLibrary
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.slides.libraries import is_usual, libraries_folder
from napari_medssl.widgets.slides.session import SlidesSession


class LibraryChoice(QObject):
    """Puts another library in the place of the present one.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    leaving
        The present library is about to be closed.
    chosen
        Another one is open.
    """

    told = Signal(str, bool)
    leaving = Signal()
    chosen = Signal()

    def __init__(self, session: SlidesSession, parent: QWidget, folder: Path | None) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self._folder = folder

    @property
    def is_usual(self) -> bool:
        """True while the library has no place of its own."""
        return is_usual(self._session.library, self._folder)

    def ask_new(self) -> None:
        """Ask for the place of a new library."""
        chosen, _ = QFileDialog.getSaveFileName(
            self._parent, "New library", f"slides{SUFFIX}", f"Library (*{SUFFIX})"
        )
        if chosen:
            path = Path(chosen)
            self.open(path if path.suffix == SUFFIX else Path(f"{path}{SUFFIX}"))

    def ask_open(self) -> None:
        """Ask for a library."""
        start = str(self._folder or libraries_folder())
        chosen = QFileDialog.getExistingDirectory(self._parent, f"Open a *{SUFFIX} folder", start)
        if chosen:
            self.open(Path(chosen))

    def open(self, folder: Path) -> None:
        """Open a library instead of the present one; one that is damaged after a question."""
        if self._session.library.folder == folder.expanduser().absolute():
            return
        try:
            self._use(wait_for(partial(SlideLibrary.open, folder)))
        except ProjectDamagedError as error:
            if self._may_repair(str(error)):
                self._open_repaired(partial(SlideLibrary.open, folder, repair=True))
        except UserError as error:
            self.told.emit(str(error), True)

    def _open_repaired(self, opening: Callable[[], SlideLibrary]) -> None:
        try:
            self._use(wait_for(opening))
        except UserError as error:
            self.told.emit(str(error), True)

    def _use(self, library: SlideLibrary) -> None:
        former = self._session.library
        self.leaving.emit()
        self._session.use(library)
        try:
            wait_for(former.close)
        except UserError as error:
            self.told.emit(str(error), True)
        self.chosen.emit()

    def _may_repair(self, reason: str) -> bool:
        answer = QMessageBox.question(
            self._parent, "Damaged library", f"{reason}\n\nOpen what can be read?"
        )
        return bool(answer == QMessageBox.StandardButton.Yes)
