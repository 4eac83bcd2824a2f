"""Open a library of embeddings, and choose which of its collections is searched."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.jobs import error_text
from napari_medssl.index.collection import SearchCollection
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._recent import read_recent, remember
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.similar.session import SimilarSession

_log = logging.getLogger(__name__)


def recent_file() -> Path:
    """Return the file that remembers which libraries were open; it need not exist."""
    folder = Path(platformdirs.user_data_dir("napari-medssl", appauthor=False))
    return folder / "similar.json"


@dataclass(frozen=True)
class OpenedLibrary:
    """A library with what it holds, and the collection that is searched first."""

    library: Library
    folders: tuple[CollectionFolder, ...]
    collection: SearchCollection | None


def open_library(
    folder: Path, recent: Path, name: str = "", *, make: bool = False
) -> OpenedLibrary:
    """Open a library and one of its collections; blocks.

    Parameters
    ----------
    folder
        Where it is.
    recent
        File that remembers it.
    name
        Name of the collection; by default that with the most slides.
    make
        Make it if it is missing.

    Raises
    ------
    UserError
        If there is none, or it is damaged.
    """
    library = Library.open(folder, make=make)
    folders = library.collections
    chosen = [one for one in folders if one.set_up.name == name] or sorted(
        folders, key=lambda one: len(one.fingerprints()), reverse=True
    )
    collection = SearchCollection(chosen[0]) if chosen else None
    try:
        remember(recent, library.folder)
    except UserError as error:  # the library is open all the same
        _log.warning("%s", error)
    return OpenedLibrary(library, folders, collection)


def _refreshed(collection: SearchCollection, library: Library) -> tuple[CollectionFolder, ...]:
    Library.open(library.folder)  # one on a disk that is gone is not empty
    collection.refresh()
    return library.collections


def describe(folder: CollectionFolder) -> str:
    """Return a collection in words: encoder, resolution, side of a tile."""
    set_up = folder.set_up
    return f"{set_up.encoder} · {set_up.mpp:g} µm/px · {set_up.size} px"


class LibraryChoice(QObject):
    """Opens libraries in a thread; fills the box of collections and the menu of libraries.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: SimilarSession, parent: QWidget, recent: Path | None) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self._recent = recent or recent_file()
        self.background = Background("medssl-similar-library", self)
        self.is_busy = False
        self.box = QComboBox()
        self.box.setToolTip("Which embeddings are searched: encoder, resolution, side of a tile")
        self.box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.box.setMinimumContentsLength(12)
        self.box.activated.connect(self._on_chosen)
        session.library_changed.connect(self._fill)
        self._fill()

    def fill_menu(self, menu: QMenu) -> None:
        """Add what opens libraries."""
        add_entry(menu, "Open ...", "Open a folder of embeddings", self.ask_open)
        add_entry(menu, "New ...", "Begin a library in an empty folder", self.ask_new)
        self._recent_menu = menu.addMenu("Recent")
        self._recent_menu.aboutToShow.connect(self._fill_recent)
        add_entry(menu, "Refresh", "Take in slides that were indexed elsewhere", self.refresh)

    def _fill_recent(self) -> None:
        self._recent_menu.clear()
        for place in read_recent(self._recent):
            add_entry(self._recent_menu, str(place), "Open it", partial(self.open, place))

    def open_recent(self) -> None:
        """Open the library that was open last, if it is there still."""
        places = read_recent(self._recent)
        if places:
            self._submit(partial(_open_if_there, places[0], self._recent))

    def ask_open(self) -> None:
        """Ask for a library."""
        chosen = QFileDialog.getExistingDirectory(self._parent, "Open a library of embeddings")
        if chosen:
            self.open(Path(chosen))

    def ask_new(self) -> None:
        """Ask for the place of a new library."""
        chosen, _ = QFileDialog.getSaveFileName(
            self._parent, "New library of embeddings", "tiles.library", "Folder (*)"
        )
        if chosen:
            self.open(Path(chosen), make=True)

    def open(self, folder: Path, *, make: bool = False) -> None:
        """Open a library in a thread; the one that is open is looked at again."""
        self.told.emit("", False)
        library, collection = self._session.library, self._session.collection
        is_open = library is not None and library.folder == folder.expanduser().absolute()
        if is_open and collection is not None:
            self.refresh()  # examples and hits stay
            self._warm(collection)
            return
        self._submit(partial(open_library, folder, self._recent, make=make))

    def refresh(self) -> None:
        """Take in slides that came or went."""
        library, collection = self._session.library, self._session.collection
        if library is None:
            self.told.emit("No library is open.", True)
        elif collection is None:
            self.open(library.folder)
        else:
            self.is_busy = True
            work = partial(_refreshed, collection, library)
            self.background.submit("library", work, self._take_refreshed, self._refuse)

    def choose(self, name: str) -> None:
        """Search another collection of the library."""
        if self._session.library is not None:
            self._submit(partial(open_library, self._session.library.folder, self._recent, name))

    def _on_chosen(self, row: int) -> None:
        name = self.box.itemData(row)
        collection = self._session.collection
        if name and (collection is None or collection.set_up.name != name):
            self.choose(name)

    def _submit(self, work: Any) -> None:
        self.is_busy = True
        self.background.submit("library", work, self._take, self._refuse)

    def _take(self, opened: OpenedLibrary | None) -> None:
        self.is_busy = False
        if opened is None:
            return
        self._session.use_library(opened.library, opened.folders)
        self._session.use_collection(opened.collection)
        self._fill()
        self.told.emit("", True)
        if opened.collection is None:
            return
        for _, reason in opened.collection.problems:
            self.told.emit(reason, True)
        self._warm(opened.collection)

    def _warm(self, collection: SearchCollection) -> None:
        """Load the encoder before it is asked for; tell if it is not to be had."""
        work = partial(
            compute_process().call,
            "napari_medssl.backend.embed_query:warm_encoder",
            collection.set_up,
            collection.encoder_given,
            read_settings().device,
        )
        self.background.submit("warm", work, _take_warm, self._on_no_encoder)

    def _on_no_encoder(self, error: BaseException) -> None:
        if isinstance(error, UserError):
            self.told.emit(
                f"{error} Until then only tiles that are indexed can be searched for.", True
            )

    def _take_refreshed(self, folders: tuple[CollectionFolder, ...]) -> None:
        self.is_busy = False
        self._session.folders = folders
        self._fill()
        self._session.note_refreshed()

    def _refuse(self, error: BaseException) -> None:
        self.is_busy = False
        self.told.emit(error_text(error), True)

    def _fill(self) -> None:
        self.box.clear()
        for folder in self._session.folders:
            self.box.addItem(describe(folder), folder.set_up.name)
        collection = self._session.collection
        if collection is not None:
            self.box.setCurrentIndex(self.box.findData(collection.set_up.name))
        self.box.setEnabled(self.box.count() > 1)


def _take_warm(_name: str) -> None:
    """The encoder is loaded: nothing is to be told."""


def _open_if_there(folder: Path, recent: Path) -> OpenedLibrary | None:
    """Open a library that was open last time; one that went away meanwhile is no news."""
    return open_library(folder, recent) if (folder / "library.json").is_file() else None
