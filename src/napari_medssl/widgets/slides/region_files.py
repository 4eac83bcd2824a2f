"""Regions on disk: opened and closed with their slide, GeoJSON in and out, all in a thread."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.io.geojson import FeatureFile, read_geojson, write_geojson
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.state.region_folder import RegionFolder, SlideIdentity
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.slides.region_session import RegionSession
from napari_medssl.widgets.slides.session import SlidesSession

_FILES = "GeoJSON (*.geojson *.json *.zip);;All files (*)"
_NO_SLIDE = "No slide is open. Open one from the list first."


class RegionFiles(QObject):
    """Keeps the regions of the slide in front open, saved as they change.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, slides: SlidesSession, session: RegionSession, parent: QWidget) -> None:
        super().__init__(parent)
        self._slides = slides
        self._session = session
        self._parent = parent
        self._runs = 0
        self._turn = 0  # counts the slides that were in front
        self._on_the_way: set[RegionFolder] = set()  # opened in the thread, not delivered yet
        self.background = Background("medssl-regions", self)
        slides.current_changed.connect(self._on_current)

    @property
    def save_error(self) -> str | None:
        """Why edits cannot be written to disk now, None if they can."""
        return None if self._session.folder is None else self._session.folder.save_error

    def close(self) -> None:
        """Save the regions and stop the thread; UserError if they could not be saved."""
        self._slides.current_changed.disconnect(self._on_current)
        former = self._session.use(None)
        wait_for(partial(self._close_all, former))

    def _close_all(self, former: RegionFolder | None) -> None:
        self.background.finish()
        for folder in (*self._on_the_way, former):
            if folder is not None:
                folder.close()

    # -- the slide in front ----------------------------------------------------------------------

    def _on_current(self) -> None:
        self._close_folder(self._session.use(None))
        self._turn += 1  # what is being opened for the former slide is of no use any more
        key = self._slides.current
        if key is not None and self._slides.has(key):
            self._open(key, repair=False)

    def _open(self, key: int, *, repair: bool) -> None:
        fingerprint = self._slides.fingerprint
        library, turn = self._slides.library, self._turn
        identity = SlideIdentity(self._slides.entry(key).name, fingerprint)

        def work() -> RegionFolder:
            place = library.regions_folder(fingerprint)
            folder = RegionFolder.open(place, identity, repair=repair)
            self._on_the_way.add(folder)
            return folder

        self._run(work, partial(self._use, turn), partial(self._on_not_opened, turn, key))

    def _run(self, work: Any, on_done: Any, on_failed: Any) -> None:
        """Run in the thread in turn; no request takes the place of another."""
        self._runs += 1
        self.background.submit(f"regions {self._runs}", work, on_done, on_failed)

    def _use(self, turn: int, folder: RegionFolder) -> None:
        self._on_the_way.discard(folder)
        if turn != self._turn:
            self._close_folder(folder)
            return
        self._session.use(folder)

    def _on_not_opened(self, turn: int, key: int, error: BaseException) -> None:
        if turn != self._turn:
            return
        text = self._slides.masked_text(error_text(error))
        if isinstance(error, ProjectDamagedError) and self._may_repair(text):
            self._open(key, repair=True)
            return
        self.told.emit(text, True)

    def _may_repair(self, reason: str) -> bool:
        answer = QMessageBox.question(
            self._parent, "Damaged regions", f"{reason}\n\nGo on with what can be read?"
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _close_folder(self, folder: RegionFolder | None) -> None:
        if folder is not None:
            self._run(folder.close, _nothing, self._on_error)

    # -- GeoJSON ---------------------------------------------------------------------------------

    def ask_import(self) -> None:
        """Ask for a GeoJSON file."""
        chosen, _ = QFileDialog.getOpenFileName(self._parent, "Import regions", "", _FILES)
        if chosen:
            self.read(Path(chosen))

    def read(self, path: Path) -> None:
        """Read regions in a thread and add them, one step to undo."""
        take = partial(self._take, self._turn, path.name)
        self._run(partial(read_geojson, path), take, self._on_error)

    def _take(self, turn: int, name: str, found: FeatureFile) -> None:
        if turn != self._turn:
            self.told.emit(f"{name} was not imported: another slide is in front by now.", True)
            return
        try:
            keys = self._session.add(found.features, "import")
        except UserError as error:
            self.told.emit(str(error), True)
            return
        words = f"{_counted(len(keys))} of {name} imported."
        if found.failures:
            count = len(found.failures)
            verb = "is broken and was" if count == 1 else "are broken and were"
            words += f" {count} {verb} left out: {found.failures[0]}"
        self.told.emit(words, bool(found.failures))

    def ask_export(self) -> None:
        """Ask where to write GeoJSON."""
        key = self._slides.current
        if key is None:
            self.told.emit(_NO_SLIDE, True)
            return
        start = f"{Path(self._slides.title(key)).stem}.geojson"
        chosen, _ = QFileDialog.getSaveFileName(self._parent, "Export regions", start, _FILES)
        if chosen:
            self.write(Path(chosen))

    def write(self, path: Path) -> None:
        """Write all regions as GeoJSON, in a thread."""
        store = self._session.store
        if store is None:
            self.told.emit(_NO_SLIDE, True)
            return
        place = path if path.suffix else path.with_suffix(".geojson")
        features = store.features()
        self._run(
            partial(write_geojson, features, place),
            partial(self._on_written, len(features), place.name),
            self._on_error,
        )

    def _on_written(self, count: int, name: str, _: object) -> None:
        self.told.emit(f"{_counted(count)} written to {name}.", False)

    def _on_error(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)


def _counted(count: int) -> str:
    return f"{count} region{'s' * (count != 1)}"


def _nothing(_: object) -> None:
    """Take the result of a save that went well."""
