"""Keeps searches, concepts and marks in the library, off the GUI thread, and brings them back."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.state.search_examples import Area, Example
from napari_medssl.state.search_notes import Concept, SearchNotes
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets.similar.session import SimilarSession

_KEEP_MS = 200
_CHECK_MS = 1000
_log = logging.getLogger(__name__)


class _Holder:
    """The notes that are open, one library's at a time. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False
        self.notes: SearchNotes | None = None

    def switch(self, library: Path | None) -> SearchNotes | None:
        """Close what is open and open the notes of a library; UserError as `SearchNotes.open`."""
        with self._lock:
            self._close()
            if library is not None and not self._is_over:
                self.notes = SearchNotes.open(library)
            return self.notes

    def end(self) -> None:
        """Close what is open and open nothing any more."""
        with self._lock:
            self._is_over = True
            self._close()

    def _close(self) -> None:
        notes, self.notes = self.notes, None
        if notes is not None and not notes.close():
            _log.error("the last searches of %s were not saved", notes.folder)


def _end(holder: _Holder) -> None:
    # No daemon: it writes, and a program that ends meanwhile has to let it.
    threading.Thread(target=holder.end, name="medssl searches").start()


class NotesKeeper(QObject):
    """Opens the notes of the library that is open; brings its last search back.

    Signals
    -------
    changed
        Other concepts or marks are there.
    told
        A line for the person; the second argument is True for an error.
    """

    changed = Signal()
    told = Signal(str, bool)

    def __init__(self, session: SimilarSession, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._holder = _Holder()
        self.notes: SearchNotes | None = None
        self._restored = ""  # name of the collection whose search is kept from now on
        self.background = Background("medssl-similar-notes", self)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_KEEP_MS)
        self._later.timeout.connect(self._keep)
        self._reason = ""  # why changes are not on disk, as it was told
        self._checks = QTimer(self)
        self._checks.setInterval(_CHECK_MS)
        self._checks.timeout.connect(self.check_saved)
        session.library_changed.connect(self._on_library)
        session.collection_changed.connect(self._on_collection)
        session.examples_changed.connect(self._on_examples)
        when_gone(self, _end, self._holder)

    # -- reading ---------------------------------------------------------------------------------

    @property
    def collection(self) -> str:
        """Name of the collection that is searched, "" for none."""
        collection = self._session.collection
        return "" if collection is None else collection.set_up.name

    def concepts(self) -> tuple[Concept, ...]:
        """Return the concepts of the present collection."""
        return () if self.notes is None else self.notes.concepts(self.collection)

    def mark_of(self, area: Area) -> str:
        """Return how an area is marked, "" for not at all."""
        return "" if self.notes is None else self.notes.marks.get(area, "")

    # -- editing ---------------------------------------------------------------------------------

    def keep_concept(self, name: str, threshold: float | None) -> None:
        """Keep the present examples under a name."""
        if self._is_there() and self.notes is not None:
            concept = Concept(name, self.collection, self._session.examples, threshold)
            self.notes.keep_concept(concept)
            self.changed.emit()

    def drop_concept(self, name: str) -> None:
        """Forget a concept."""
        if self._is_there() and self.notes is not None:
            self.notes.drop_concept(self.collection, name)
            self.changed.emit()

    def mark(self, area: Area, words: str) -> None:
        """Mark an area; no words take the mark off."""
        if self._is_there() and self.notes is not None:
            self.notes.mark(area, words)
            self.changed.emit()

    @property
    def save_error(self) -> str | None:
        """Why the last change is not on disk."""
        return None if self.notes is None else self.notes.save_error

    def check_saved(self) -> None:
        """Tell if changes cannot be written, or can again; once."""
        former, self._reason = self._reason, self.save_error or ""
        if self._reason and not former:
            self.told.emit(
                f"Searches, concepts and marks cannot be saved: {self._reason}. They are kept in "
                "memory, and written as soon as that is possible.",
                True,
            )
        elif former and not self._reason:
            self.told.emit("Searches, concepts and marks are saved again.", False)

    def close(self) -> None:
        """Write what is left, in a thread."""
        self._checks.stop()
        if self._later.isActive():
            self._later.stop()
            self._keep()
        self.notes = None
        self.background.close()
        _end(self._holder)

    def _is_there(self) -> bool:
        if self.notes is None:
            self.told.emit("Nothing can be kept: no library is open for writing here.", True)
        return self.notes is not None

    # -- following the session -------------------------------------------------------------------

    def _on_library(self) -> None:
        self._later.stop()
        self._checks.stop()
        self.notes, self._restored, self._reason = None, "", ""
        library = self._session.library
        folder = None if library is None else library.folder
        self.background.submit(
            "notes", partial(self._holder.switch, folder), self._take, self._refuse
        )
        self.changed.emit()

    def _take(self, notes: SearchNotes | None) -> None:
        self.notes = notes
        if notes is not None:
            self._checks.start()
        self._restore()
        self.changed.emit()

    def _refuse(self, error: BaseException) -> None:
        words = "Searches are not kept here." if isinstance(error, UserError) else ""
        self.told.emit(f"{error_text(error)} {words}".strip(), True)

    def _on_collection(self) -> None:
        self._restored = ""
        self._restore()
        self.changed.emit()

    def _restore(self) -> None:
        """Bring the last search of the collection back, unless a person has begun another."""
        if self.notes is None or not self.collection or self._restored == self.collection:
            return
        self._restored = self.collection
        examples: tuple[Example, ...] = self.notes.query(self.collection)
        if examples and not self._session.examples:
            self._session.set_examples(examples)

    def _on_examples(self) -> None:
        if self._restored and self._restored == self.collection:
            self._later.start()

    def _keep(self) -> None:
        notes = self.notes
        if notes is None or self._restored != self.collection:
            return
        if list(notes.query(self.collection)) != list(self._session.examples):
            notes.keep_query(self.collection, self._session.examples)
