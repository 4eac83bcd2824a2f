"""Open images, folders, layers and sets of landmarks, off the GUI thread.

A set begins with the first image, before a place for it was chosen: in a folder of the user, under
the name of the images' folder, so that opening the same images again finds their landmarks.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.io.images import ImageListing, ImageRef, scan_images
from napari_medssl.state.landmark_folder import SUFFIX, LandmarkFolder
from napari_medssl.state.landmark_items import LandmarkImage
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.landmarks import questions
from napari_medssl.widgets.landmarks.layer_import import TakenLayer, save_layers, take_layer
from napari_medssl.widgets.landmarks.session import LandmarkSession
from napari_medssl.widgets.landmarks.set_places import own_name, sets_folder
from napari_medssl.widgets.similar.library_choice import read_recent, remember

_log = logging.getLogger(__name__)


class SetFiles(QObject):
    """Opens and closes sets, and adds images to the one that is open, one request after the other.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    added
        Ids of images that came in.
    """

    told = Signal(str, bool)
    added = Signal(tuple)

    def __init__(
        self, viewer: Any, session: LandmarkSession, parent: QWidget, folder: Path | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._parent = parent
        self._sets = folder or sets_folder()
        self._recent = self._sets / "recent.json"
        self.background = Background("medssl-landmark-files", self)
        self.is_busy = False
        self._waiting: deque[Callable[[], None]] = deque()

    def _in_turn(self, begin: Callable[[], None]) -> None:
        """Begin a request once those before it are done: each needs the set they leave open."""
        self._waiting.append(begin)
        if not self.is_busy:
            self._end()

    def _end(self) -> None:
        """Take note that a request is done, and begin the next."""
        self.is_busy = bool(self._waiting)
        if self._waiting:
            self._waiting.popleft()()

    def fill_open_menu(self, menu: QMenu) -> None:
        """Add what brings images and sets in."""
        add_entry(menu, "Images ...", "Add image files", self.ask_images)
        add_entry(menu, "Folder ...", "Add all images of a folder", self.ask_folder)
        add_entry(menu, "Selected layers", "Add the image layers selected", self.add_layers)
        menu.addSeparator()
        add_entry(menu, "Landmarks ...", f"Open a set of landmarks (*{SUFFIX})", self.ask_open)
        add_entry(menu, "New ...", "Begin a set in a place of its own", self.ask_new)
        self._recent_menu = menu.addMenu("Recent")
        self._recent_menu.aboutToShow.connect(self._fill_recent)
        add_entry(menu, "Save a copy ...", "Write the set to another place", self.ask_copy)
        add_entry(menu, "Close", "Let go of the set; it is saved", self.close_set)

    def _fill_recent(self) -> None:
        self._recent_menu.clear()
        for place in read_recent(self._recent):
            if place.is_dir():
                add_entry(self._recent_menu, place.stem, str(place), partial(self.open, place))

    # -- images ----------------------------------------------------------------------------------

    def ask_images(self) -> None:
        """Ask for image files."""
        names, _ = QFileDialog.getOpenFileNames(self._parent, "Images for landmarks")
        self.add_paths([Path(name) for name in names])

    def ask_folder(self) -> None:
        """Ask for a folder of images."""
        name = QFileDialog.getExistingDirectory(self._parent, "Folder of images for landmarks")
        if name:
            self.add_paths([Path(name)])

    def add_paths(self, paths: Sequence[Path]) -> None:
        """Find the images in files and folders in a thread, and add them."""
        if not paths:
            return
        if len(paths) == 1 and paths[0].suffix == SUFFIX:
            self.open(paths[0])
            return
        places = [path.expanduser().absolute() for path in paths]
        self._in_turn(partial(self._scan, places))

    def _scan(self, places: Sequence[Path]) -> None:
        self.background.submit(
            "scan", partial(scan_images, places), partial(self._take, places), self._refuse
        )

    def _take(self, paths: Sequence[Path], listing: ImageListing) -> None:
        failed = "" if not listing.failures else listing.failures[0][1]
        if not listing.refs:
            self.told.emit(failed or f"There are no images in {str(paths[0])!r}.", True)
            self._end()
            return
        images = [LandmarkImage(ref.name, _source(ref)) for ref in listing.refs]
        folder = paths[0] if paths[0].is_dir() else paths[0].parent
        self._add(images, own_name(folder), failed)

    def add_layers(self) -> None:
        """Add the image layers that are selected in napari; their pixels are kept in the set."""
        try:
            chosen = self._chosen_layers()
            layers = [take_layer(layer) for layer in chosen]
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self._in_turn(partial(self._begin_layers, chosen, layers))

    def _begin_layers(self, chosen: Sequence[Any], layers: Sequence[TakenLayer]) -> None:
        after = partial(self._save_layers, chosen, layers)
        if self._session.folder is None:
            name = time.strftime(f"layers %Y-%m-%d %H.%M.%S{SUFFIX}")
            self._open(self._sets / name, after)
        else:
            after()

    def _chosen_layers(self) -> list[Any]:
        chosen = [
            layer
            for layer in self._viewer.layers
            if layer in self._viewer.layers.selection
            and hasattr(layer, "rgb")
            and "medssl" not in layer.metadata
        ]
        if not chosen:
            raise UserError("No image layers are selected. Click them in napari's layer list.")
        return chosen

    def _save_layers(self, chosen: Sequence[Any], layers: Sequence[TakenLayer]) -> None:
        folder = self._session.checked_folder()
        work = partial(save_layers, layers, folder.folder / "images")
        done = partial(self._take_layers, folder, chosen)
        self.background.submit("layers", work, done, self._refuse)

    def _take_layers(
        self, folder: LandmarkFolder, chosen: Sequence[Any], images: Sequence[LandmarkImage]
    ) -> None:
        if folder is not self._session.folder:
            self._end()  # it was closed meanwhile
            return
        for layer in chosen:
            layer.visible = False  # only now: what is refused stays in sight
        self._take_images(images)

    def _add(self, images: Sequence[LandmarkImage], name: str, failed: str = "") -> None:
        if self._session.folder is None:
            self._open(self._sets / name, partial(self._take_images, images, failed))
        else:
            self._take_images(images, failed)

    def _take_images(self, images: Sequence[LandmarkImage], failed: str = "") -> None:
        keys = self._session.checked_folder().store.add_images(images)
        if failed:
            self.told.emit(failed, True)
        elif keys:
            self.told.emit(f"{len(keys)} image{'s' * (len(keys) != 1)} added.", False)
        if keys:
            self.added.emit(keys)
        self._end()

    # -- sets ------------------------------------------------------------------------------------

    def ask_open(self) -> None:
        """Ask for a set."""
        name = QFileDialog.getExistingDirectory(self._parent, f"Set of landmarks (*{SUFFIX})")
        if name:
            self.open(Path(name))

    def ask_new(self) -> None:
        """Ask for the place of a new set."""
        name, _ = QFileDialog.getSaveFileName(
            self._parent, "New set of landmarks", f"set{SUFFIX}", f"Folder (*{SUFFIX})"
        )
        if name:
            self.open(Path(name if name.endswith(SUFFIX) else f"{name}{SUFFIX}"))

    def open(self, folder: Path) -> None:
        """Open a set in a thread, made if it is missing; the one that is open is closed."""
        self._in_turn(partial(self._begin_open, folder.expanduser().absolute()))

    def _begin_open(self, place: Path) -> None:
        if self._session.folder is not None and self._session.folder.folder == place:
            self._end()
        else:
            self._open(place, self._on_opened)

    def _on_opened(self) -> None:
        self.told.emit("", False)
        self._end()

    def _open(self, folder: Path, after: Any, *, repair: bool = False) -> None:
        work = partial(_open_set, folder, self._recent, repair)
        done = partial(self._use, after)
        self.background.submit("open", work, done, partial(self._on_damaged, folder, after))

    def _use(self, after: Any, opened: LandmarkFolder) -> None:
        if not self.close_set():
            opened.close()
            self._end()
            return
        self._session.use(opened)
        after()

    def _on_damaged(self, folder: Path, after: Any, error: BaseException) -> None:
        is_damaged = isinstance(error, ProjectDamagedError)
        if is_damaged and questions.may(
            self._parent, "Damaged set", f"{error}\n\nGo on with what can be read?"
        ):
            self._open(folder, after, repair=True)
            return
        self._refuse(error)

    def ask_copy(self) -> None:
        """Ask for a place and write a copy of the set there."""
        name, _ = QFileDialog.getSaveFileName(
            self._parent, "Save a copy of the set", f"copy{SUFFIX}", f"Folder (*{SUFFIX})"
        )
        if name:
            self.save_copy(Path(name if name.endswith(SUFFIX) else f"{name}{SUFFIX}"))

    def save_copy(self, target: Path) -> None:
        """Write a copy of the set and say so."""
        try:
            folder = self._session.checked_folder()
            wait_for(partial(folder.save_copy, target))
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(f"Copied to {target}.", False)

    def close_set(self) -> bool:
        """Let go of the set that is open; False if the last changes cannot be written."""
        folder = self._session.folder
        if folder is None:
            return True
        try:
            wait_for(folder.close)
        except UserError as error:
            self.told.emit(str(error), True)
            return False
        self._session.use(None)
        return True

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)
        self._end()


def _open_set(folder: Path, recent: Path, repair: bool) -> LandmarkFolder:
    opened = LandmarkFolder.open(folder, repair=repair)
    try:
        remember(recent, opened.folder)
    except UserError as error:  # the set is open all the same
        _log.warning("%s", error)
    return opened


def _source(ref: ImageRef) -> str:
    return str(ref.path) if ref.page is None else f"{ref.path}#page={ref.page}"
