"""The menu "Open": pictures, embeddings, a library of tiles, and what was open before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import platformdirs
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.sample_cells import sample_cells_folder
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._recent import read_recent, remember

_log = logging.getLogger(__name__)
_TABLES = "Embeddings (*.parquet *.npy *.h5 *.hdf5);;All files (*)"


def recent_file() -> Path:
    """Return the file that remembers what was open; it need not exist."""
    folder = Path(platformdirs.user_data_dir("napari-medssl", appauthor=False))
    return folder / "embedding_map.json"


class OpenMenu(QObject):
    """Asks for what the map is to be of.

    Parameters
    ----------
    parent
        The widget.
    recent
        File that remembers what was open.

    Signals
    -------
    chosen
        The `Path` that was chosen.
    told
        A line for the person; the second argument is True for an error.
    """

    chosen = Signal(object)
    told = Signal(str, bool)

    def __init__(self, parent: QWidget, recent: Path | None = None) -> None:
        super().__init__(parent)
        self._parent = parent
        self._recent = recent or recent_file()
        self.background = Background("medssl-map-recent", self)
        self.menu = QMenu(parent)
        self.menu.aboutToShow.connect(self._fill)
        self._fill()

    def note_open(self, place: Path) -> None:
        """Remember what was opened; a thread writes it."""
        work = partial(remember, self._recent, place)
        self.background.submit("note", work, _done, _warn)

    def ask_folder(self) -> None:
        """Ask for a folder of pictures."""
        self._ask_folder("Open a folder of pictures")

    def ask_library(self) -> None:
        """Ask for a library of tiles."""
        self._ask_folder('Open a library, as "Find similar" and `medssl index` make it')

    def ask_table(self) -> None:
        """Ask for a file of embeddings."""
        chosen, _ = QFileDialog.getOpenFileName(self._parent, "Open embeddings", "", _TABLES)
        if chosen:
            self.chosen.emit(Path(chosen))

    def open_sample(self) -> None:
        """Make the sample of blood cells in a thread, and open it."""
        self.background.submit("sample", sample_cells_folder, self.chosen.emit, self._refuse)

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(f"The sample cannot be made: {error_text(error)}", True)

    def _ask_folder(self, title: str) -> None:
        chosen = QFileDialog.getExistingDirectory(self._parent, title)
        if chosen:
            self.chosen.emit(Path(chosen))

    def _fill(self) -> None:
        self.menu.clear()
        entries: tuple[tuple[str, str, Callable[[], object]], ...] = (
            ("Pictures ...", "A folder of pictures; they are embedded first", self.ask_folder),
            ("Embeddings ...", "A table of `medssl embed`, .npy or .h5 files", self.ask_table),
            ("Library ...", "The tiles of slides that were indexed", self.ask_library),
            ("Sample", "160 made-up blood cells of four kinds; made now", self.open_sample),
        )
        for title, tip, action in entries:
            add_entry(self.menu, title, tip, action)
        places = read_recent(self._recent)
        if places:
            self.menu.addSeparator()
        for place in places:
            add_entry(self.menu, place.name, str(place), partial(self.chosen.emit, place))


def _done(_result: None) -> None:
    """There is nothing to tell."""


def _warn(error: BaseException) -> None:
    _log.warning("%s", error)  # it is open all the same
