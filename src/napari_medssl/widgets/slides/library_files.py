"""What fills the list: the menus Open and Library, finding slides and looking at them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMenu, QWidget

from napari_medssl.backend.jobs import Job, Progress
from napari_medssl.backend.slide_lists import Care, Looks, find_in_folders, look_at_slides
from napari_medssl.io.slides.opening import SLIDE_SUFFIXES
from napari_medssl.state.slide_library import SUFFIX, SlideLibrary
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets.slides.library_choice import LibraryChoice
from napari_medssl.widgets.slides.session import SlidesSession

PATTERNS = " ".join(
    f"*{suffix}" for suffix in sorted({*SLIDE_SUFFIXES, ".tif", ".tiff"} - {".zarr"})
)


@dataclass(frozen=True, slots=True)
class _Look:
    """Slides to look at, how closely, and whether a person waits to hear of it."""

    keys: tuple[int, ...]
    care: Care
    is_told: bool = False


class LibraryFiles(QObject):
    """Adds slides to the library and looks at them, off the GUI thread.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    added
        Ids of slides that came in.
    """

    told = Signal(str, bool)
    added = Signal(tuple)

    def __init__(self, session: SlidesSession, parent: QWidget, folder: Path | None) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self.choice = LibraryChoice(session, parent, folder)
        self.choice.told.connect(self.told)
        self.choice.leaving.connect(self._on_leaving)
        self.choice.chosen.connect(self.refresh)
        self._folders: list[tuple[str, ...]] = []  # to look for slides in
        self._waiting: list[_Look] = []
        self._look: _Look | None = None  # the one that runs
        self._is_leaving = False
        self._must_follow: tuple[str, ...] = ()
        self.jobs = JobPanel(parent, shown=session.masked_text, has_error_line=False)
        self.jobs.progressed.connect(self._on_progress)
        self.jobs.done.connect(self._on_done)
        self.jobs.failed.connect(self._on_failed)
        self.jobs.ended.connect(self._on_ended)

    # -- menus -----------------------------------------------------------------------------------

    def fill_open_menu(self, menu: QMenu) -> None:
        """Add what brings slides in."""
        add_entry(menu, "Slides ...", "Link slide files", self.ask_slides)
        add_entry(
            menu, "Folder ...", "Link all slides of a folder and those inside", self.ask_folder
        )
        add_entry(menu, "OME-Zarr store ...", "Link an OME-Zarr folder", self.ask_store)
        add_entry(menu, "URL ...", "Link an OME-Zarr store on a server", self.ask_url)
        menu.addSeparator()
        add_entry(menu, "Library ...", f"Open a library (*{SUFFIX})", self.choice.ask_open)

    def fill_library_menu(self, menu: QMenu) -> None:
        """Add what concerns the library as a whole."""
        add_entry(menu, "New ...", "Begin a library in a place of its own", self.choice.ask_new)
        add_entry(menu, "Open ...", f"Open a library (*{SUFFIX})", self.choice.ask_open)
        menu.addSeparator()
        add_entry(
            menu,
            "Refresh",
            "Look for new slides in the folders that were opened, and at files that changed",
            self.refresh,
        )
        add_entry(
            menu, "Verify all", "Open every slide and compare its content", partial(self.verify)
        )
        menu.addSeparator()
        add_entry(menu, "Undo", "Take back the last adding or removing of slides", self.undo)
        add_entry(menu, "Redo", "Do again what was taken back", self.redo)

    # -- bringing in -----------------------------------------------------------------------------

    def ask_slides(self) -> None:
        """Ask for slide files."""
        chosen, _ = QFileDialog.getOpenFileNames(
            self._parent, "Link slides", "", f"Slides ({PATTERNS});;All files (*)"
        )
        self.add_paths(Path(name) for name in chosen)

    def ask_folder(self) -> None:
        """Ask for a folder of slides."""
        chosen = QFileDialog.getExistingDirectory(self._parent, "Link the slides of a folder")
        if chosen:
            self.add_folder(Path(chosen))

    def ask_store(self) -> None:
        """Ask for an OME-Zarr folder."""
        chosen = QFileDialog.getExistingDirectory(self._parent, "Link an OME-Zarr store")
        if chosen:
            self.add_sources([chosen])

    def ask_url(self) -> None:
        """Ask for a URL."""
        text, is_given = QInputDialog.getText(
            self._parent, "Link a URL", "OME-Zarr store, such as https://.../slide.ome.zarr:"
        )
        if is_given and text.strip():
            self.add_sources([text.strip()])

    def add_paths(self, paths: Iterable[Path]) -> None:
        """Add what was chosen or dropped: slides, folders, a library."""
        sources, folders = [], []
        for path in paths:
            if path.is_dir() and SlideLibrary.is_one(path) and path.suffix == SUFFIX:
                self.choice.open(path)
            elif path.is_dir() and not path.name.lower().endswith((".zarr", ".partial")):
                folders.append(path)
            else:
                sources.append(str(path.absolute()))
        self.add_sources(sources)
        for folder in folders:
            self.add_folder(folder)

    def add_sources(self, sources: Iterable[str]) -> tuple[int, ...]:
        """Add slides by path or URL and look at them; return the ids of those that are new."""
        listed = list(sources)
        keys = self._session.library.add(listed)
        if keys:
            self.look(keys)
            self.added.emit(keys)
        elif listed:
            known = self._session.library.sources()
            self.told.emit("On the list already.", False)
            self.added.emit(tuple(known[source] for source in listed if source in known))
        return keys

    def add_folder(self, folder: Path) -> None:
        """Find the slides of a folder in a thread and add them."""
        self._find((str(folder.absolute()),))

    def refresh(self) -> None:
        """Look for new slides in the folders that are followed, and at files that changed."""
        followed = tuple(f for f in self._session.library.followed if Path(f).is_dir())
        if followed:
            self._find(followed)
        self.look(self._session.entries(), "glance")

    def _find(self, folders: tuple[str, ...]) -> None:
        self._folders.append(folders)
        self._begin_next()

    # -- looking ---------------------------------------------------------------------------------

    def look(self, keys: Iterable[int], care: Care = "look") -> None:
        """Look at slides in a thread; what was asked for before is done first."""
        self._wait_for_turn(_Look(tuple(keys), care))

    def _wait_for_turn(self, look: _Look) -> None:
        self._waiting.append(look)
        self._begin_next()

    def verify(self, keys: Iterable[int] | None = None) -> None:
        """Open slides and compare their content with what it was; all without `keys`."""
        listed = self._session.entries() if keys is None else keys
        self._wait_for_turn(_Look(tuple(listed), "look", is_told=True))

    def accept(self, keys: Iterable[int]) -> None:
        """Take slides as they are now, though their content has changed."""
        self.look(keys, "accept")

    def _begin_next(self) -> None:
        """Begin what was asked for first; finding slides goes before looking at them."""
        if self._folders and not self.jobs.is_busy:
            self._must_follow = self._folders.pop(0)
            name = "" if self._session.is_masked else f" in {Path(self._must_follow[0]).name}"
            title = f"Looking for slides{name}"
            self.jobs.start(find_in_folders, Looks(folders=self._must_follow), title=title)
        while self._waiting and not self.jobs.is_busy:
            self._look = self._waiting.pop(0)
            entries = self._session.entries(self._look.keys)
            if entries:
                looks = Looks(entries=entries, care=self._look.care)
                self.jobs.start(look_at_slides, looks, title="Looking at slides")

    def _on_progress(self, progress: Progress) -> None:
        if progress.values and not self._session.library.is_closed:
            found = {int(key): news for key, news in progress.values.items()}
            self._session.library.note_seen(found)

    def _on_done(self, result: Any) -> None:
        if self._is_leaving:
            return  # it ended before it could be stopped
        if isinstance(result, list):
            self._on_found(result)
        elif self._look is not None and self._look.is_told:
            total = len(self._look.keys)
            slides = "1 slide" if total == 1 else f"all {total} slides"
            words = f"Verified: {slides} as added."
            if result:
                words = f"Verified: {result} of {total} missing, damaged or changed."
            self.told.emit(words, bool(result))

    def _on_found(self, found: list[str]) -> None:
        library = self._session.library
        for folder in self._must_follow:
            library.follow(Path(folder))
        if not found:
            self.told.emit("No slides were found there.", False)
            return
        before = len(library.store)
        keys = library.add(found)
        count = len(library.store) - before
        words = f"{count} slide{'s' * (count != 1)} added." if count else "No new slides there."
        self.told.emit(words, False)
        if keys:
            self._waiting.append(_Look(keys, "look"))
            self.added.emit(keys)

    def _on_failed(self, text: str) -> None:
        self.told.emit(text, True)

    def _on_ended(self, job: Job) -> None:
        if job.state == "cancelled" and not self._is_leaving:
            self._forget_waiting()
        self._is_leaving = False
        self._begin_next()

    def _on_leaving(self) -> None:
        """Another library comes: what was asked for the former one is of no use."""
        self._forget_waiting()
        self._is_leaving = self.jobs.is_busy
        self.jobs.cancel()

    def _forget_waiting(self) -> None:
        self._folders.clear()
        self._waiting.clear()

    # -- the list --------------------------------------------------------------------------------

    def remove(self, keys: list[int]) -> None:
        """Take slides off the list; their files stay."""
        self._session.library.remove(key for key in keys if self._session.has(key))
        many = len(keys) > 1
        self.told.emit(
            f"{len(keys)} slide{'s' * many} taken off the list; the files stay where they are. "
            "Library > Undo brings them back.",
            False,
        )

    def undo(self) -> None:
        """Take back the last adding, removing or relocating."""
        edit = self._session.library.store.undo()
        self.told.emit(f"Undone: {edit.name}" if edit else "Nothing to undo.", False)

    def redo(self) -> None:
        """Do again what was taken back."""
        edit = self._session.library.store.redo()
        self.told.emit(f"Done again: {edit.name}" if edit else "Nothing to do again.", False)
