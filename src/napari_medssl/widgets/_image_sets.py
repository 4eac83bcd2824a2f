"""Open images, folders, layers and sets of what was made on them, off the GUI thread.

A set begins with the first image, before a place for it was chosen: in a folder of the user, under
the name of the images' folder, so that opening the same images again finds what was made on them.

More than 300 lines: one queue of requests, each of which needs the set that the others leave open.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.io.images import ImageListing, ImageRef, scan_images
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._layer_import import (
    TakenLayer,
    chosen_image_layers,
    save_layers,
    take_layer,
    volume_file,
)
from napari_medssl.widgets._recent import read_recent, remember
from napari_medssl.widgets._set_places import own_name, shown_name
from napari_medssl.widgets._waiting import wait_for

_log = logging.getLogger(__name__)

Make = Callable[..., Sequence[Any]]
Run = Callable[[Make, Path, Callable[[Sequence[Any]], None], Callable[[BaseException], None]], None]
"""Calls a `Make` with the folder off the GUI thread, then one of the two callbacks on it."""


@dataclass(frozen=True)
class SetWords:
    """What a kind of set is called.

    Attributes
    ----------
    suffix
        How the names of its folders end: ".masks".
    kind
        What is made on the images: "masks".
    purpose
        What the images are for, in titles of questions: "Images to segment".
    formats
        What a folder may hold.
    volumes
        How the names of files end that are opened in place of layers of volumes.
    """

    suffix: str
    kind: str
    purpose: str
    formats: str = "PNG, JPEG, TIFF, WebP, BMP, GIF or PDF"
    volumes: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """What a set is called: "set of masks"."""
        return f"set of {self.kind}"


@dataclass(frozen=True)
class Found:
    """Pictures in files and folders, and the distance of pixels `(x, y)` in mm in some files."""

    listing: ImageListing
    spacings_mm: Mapping[Path, tuple[float, float]] = field(default_factory=dict)


class ImageSets(QObject):
    """Opens and closes sets, and adds images to the one that is open, one request after the other.

    Parameters
    ----------
    viewer
        Whose layers may be taken.
    session
        Has `folder`, `store`, `use` and `checked_folder`.
    parent
        Of questions.
    folder
        Where sets without a place of their own are kept.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    added
        Ids of images that came in.
    """

    told = Signal(str, bool)
    added = Signal(tuple)
    words: SetWords

    def __init__(self, viewer: Any, session: Any, parent: QWidget, folder: Path) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._parent = parent
        self._sets = folder
        self._recent = self._sets / "recent.json"
        self.background = Background(f"medssl-{self.words.kind}-files", self)
        self.is_busy = False
        self._waiting: deque[Callable[[], None]] = deque()

    @staticmethod
    @abstractmethod
    def open_folder(folder: Path, *, repair: bool) -> Any:
        """Return a set, opened; called in a thread. Raises as the `open` of `state` does."""

    @staticmethod
    def find(places: Sequence[Path]) -> Found:
        """Return the pictures in files and folders; called in a thread."""
        return Found(scan_images(places))

    @abstractmethod
    def image(self, name: str, source: str, layer: TakenLayer | None = None) -> Any:
        """Return the item of an image, which came from a layer or not."""

    def _in_turn(self, begin: Callable[[], None]) -> None:
        """Begin a request once those before it are done: each needs the set they leave open."""
        self._waiting.append(begin)
        if not self.is_busy:
            self._end()

    def afterwards(self, act: Callable[[], None]) -> None:
        """Call `act` once the requests before it are done; those that it makes itself follow."""
        self._in_turn(partial(self._act, act))

    def _act(self, act: Callable[[], None]) -> None:
        try:
            act()
        finally:
            self._end()

    def _end(self) -> None:
        """Take note that a request is done, and begin the next."""
        self.is_busy = bool(self._waiting)
        if self._waiting:
            self._waiting.popleft()()

    def fill_open_menu(self, menu: QMenu, further: Callable[[QMenu], object] | None = None) -> None:
        """Add what brings images and sets in; `further` adds more images."""
        words = self.words
        add_entry(menu, "Images ...", "Add image files", self.ask_images)
        add_entry(menu, "Folder ...", "Add all images of a folder", self.ask_folder)
        add_entry(menu, "Selected layers", "Add the image layers selected", self.add_layers)
        if further is not None:
            further(menu)
        menu.addSeparator()
        title = f"{words.kind.capitalize()} ..."
        add_entry(menu, title, f"Open a {words.noun} (*{words.suffix})", self.ask_open)
        add_entry(menu, "New ...", "Begin a set in a place of its own", self.ask_new)
        self._recent_menu = menu.addMenu("Recent")
        self._recent_menu.aboutToShow.connect(self._fill_recent)
        add_entry(menu, "Save a copy ...", "Write the set to another place", self.ask_copy)
        add_entry(menu, "Close", "Let go of the set; it is saved", self.close_set)

    def _fill_recent(self) -> None:
        self._recent_menu.clear()
        places = [place for place in read_recent(self._recent) if place.is_dir()]
        names = [shown_name(place) for place in places]
        for place, name in zip(places, names, strict=True):
            shown = name if names.count(name) == 1 else place.stem
            add_entry(self._recent_menu, shown, str(place), partial(self.open, place))

    # -- images ----------------------------------------------------------------------------------

    def ask_images(self) -> None:
        """Ask for image files."""
        names, _ = QFileDialog.getOpenFileNames(self._parent, self.words.purpose)
        self.add_paths([Path(name) for name in names])

    def ask_folder(self) -> None:
        """Ask for a folder of images."""
        title = f"{self.words.purpose}: a folder"
        name = QFileDialog.getExistingDirectory(self._parent, title)
        if name:
            self.add_paths([Path(name)])

    def add_paths(self, paths: Sequence[Path]) -> None:
        """Find the images in files and folders in a thread, and add them."""
        if not paths:
            return
        if len(paths) == 1 and paths[0].suffix == self.words.suffix:
            self.open(paths[0])
            return
        places = [path.expanduser().absolute() for path in paths]
        self._in_turn(partial(self._scan, places))

    def _scan(self, places: Sequence[Path]) -> None:
        self.background.submit(
            "scan", partial(self.find, places), partial(self._take, places), self._refuse
        )

    def _take(self, paths: Sequence[Path], found: Found) -> None:
        listing = found.listing
        failed = "" if not listing.failures else listing.failures[0][1]
        if not listing.refs:
            words = (
                f"There are no images in {str(paths[0])!r}. Choose a folder of "
                f"{self.words.formats} files."
            )
            self.told.emit(failed or words, True)
            self._end()
            return
        images = [self.found_image(ref, found) for ref in listing.refs]
        folder = paths[0] if paths[0].is_dir() else paths[0].parent
        self._add(images, own_name(folder, self.words.suffix), failed)

    def found_image(self, ref: ImageRef, found: Found) -> Any:
        """Return the item of a picture that was found."""
        return self.image(ref.name, source_of(ref))

    def add_refs(self, refs: Sequence[ImageRef], folder: Path) -> None:
        """Add pictures that are known to be there; a set that begins with them is that of `folder`.

        Opening the folder itself would find the same set.
        """
        images = [self.image(ref.name, source_of(ref)) for ref in refs]
        self._in_turn(partial(self._add, images, own_name(folder, self.words.suffix)))

    def is_set_of(self, folder: Path) -> bool:
        """Say whether the set that is open is the one that a folder of images has."""
        opened = self._session.folder
        place = (self._sets / own_name(folder, self.words.suffix)).expanduser().absolute()
        return opened is not None and opened.folder == place

    def add_layers(self) -> None:
        """Add the image layers that are selected in napari; their pixels are kept in the set.

        Of a volume that has a file, that is opened: its slices are images.
        """
        try:
            chosen = chosen_image_layers(self._viewer)
            files = {layer: volume_file(layer, self.words.volumes) for layer in chosen}
            plain = [layer for layer in chosen if files[layer] is None]
            layers = [take_layer(layer) for layer in plain]
        except UserError as error:
            self.told.emit(str(error), True)
            return
        places = {layer: path for layer, path in files.items() if path is not None}
        if places:
            self.add_paths(list(dict.fromkeys(places.values())))
            self.afterwards(partial(self.on_volumes, places))
        if plain:
            self.add_made("layers", partial(self._keep_layers, layers), partial(_hide, plain))

    def on_volumes(self, places: Mapping[Any, Path]) -> None:
        """Take note that the files of layers were opened, or refused."""

    def _keep_layers(self, layers: Sequence[TakenLayer], folder: Path) -> list[Any]:
        saved = save_layers(layers, folder)
        return [self.image(layer.name, str(path), layer) for layer, path in saved]

    def add_made(
        self,
        kind: str,
        make: Make,
        then: Callable[[Sequence[Any]], object],
        run: Run | None = None,
    ) -> None:
        """Add images whose pictures are kept in the set.

        Parameters
        ----------
        kind
            What they are of, in the name of a set that begins with them: "layers".
        make
            Writes pictures into the folder given and returns their images, in a thread.
        then
            Called with the images once they are in the set; not if there are none.
        run
            Has `make` done; by default the thread of the sets, where nothing shows how far it is.
        """
        after = partial(self._make, make, then, run or self._run)
        self._in_turn(partial(self._begin_made, kind, after))

    def _begin_made(self, kind: str, after: Callable[[], None]) -> None:
        if self._session.folder is None:
            name = time.strftime(f"{kind} %Y-%m-%d %H.%M.%S{self.words.suffix}")
            self._open(self._sets / name, after)
        else:
            after()

    def _make(self, make: Make, then: Callable[[Sequence[Any]], object], run: Run) -> None:
        folder = self._session.checked_folder()
        done = partial(self._take_made, folder, then)
        run(make, folder.folder / "images", done, self._refuse)

    def _run(
        self,
        make: Make,
        folder: Path,
        done: Callable[[Sequence[Any]], None],
        refuse: Callable[[BaseException], None],
    ) -> None:
        self.background.submit("made", partial(make, folder), done, refuse)

    def _take_made(
        self, folder: Any, then: Callable[[Sequence[Any]], object], images: Sequence[Any]
    ) -> None:
        if folder is not self._session.folder or not images:
            self._end()  # it was closed meanwhile, or the making was stopped
            return
        self._take_images(images)
        then(images)

    def _add(self, images: Sequence[Any], name: str, failed: str = "") -> None:
        if self._session.folder is None:
            taken = partial(self._take_images, images, failed, is_again=True)
            self._open(self._sets / name, taken)
        else:
            self._take_images(images, failed)

    def _take_images(
        self, images: Sequence[Any], failed: str = "", *, is_again: bool = False
    ) -> None:
        keys = self._session.checked_folder().store.add_images(images)
        if failed:
            self.told.emit(failed, True)
        elif keys:
            self.told.emit(f"{len(keys)} image{'s' * (len(keys) != 1)} added.", False)
        else:
            again, known = "The set of these images is open again.", "All are in the set already."
            self.told.emit(again if is_again else known, False)
        if keys:
            self.added.emit(keys)
        self._end()

    # -- sets ------------------------------------------------------------------------------------

    def ask_open(self) -> None:
        """Ask for a set."""
        title = f"{self.words.noun.capitalize()} (*{self.words.suffix})"
        name = QFileDialog.getExistingDirectory(self._parent, title)
        if name:
            self.open(Path(name))

    def ask_new(self) -> None:
        """Ask for the place of a new set."""
        self._ask_place(f"New {self.words.noun}", "set", self.open)

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

    def _open(self, folder: Path, after: Callable[[], None], *, repair: bool = False) -> None:
        work = partial(_open_noted, self.open_folder, folder, self._recent, repair)
        done = partial(self._use, after)
        self.background.submit("open", work, done, partial(self._on_damaged, folder, after))

    def _use(self, after: Callable[[], None], opened: Any) -> None:
        if not self.close_set():
            opened.close()
            self._end()
            return
        self._session.use(opened)
        after()

    def _on_damaged(self, folder: Path, after: Callable[[], None], error: BaseException) -> None:
        is_damaged = isinstance(error, ProjectDamagedError)
        if is_damaged and questions.may(
            self._parent, "Damaged set", f"{error}\n\nGo on with what can be read?"
        ):
            self._open(folder, after, repair=True)
            return
        self._refuse(error)

    def ask_copy(self) -> None:
        """Ask for a place and write a copy of the set there."""
        self._ask_place("Save a copy of the set", "copy", self.save_copy)

    def _ask_place(self, title: str, stem: str, then: Callable[[Path], None]) -> None:
        suffix = self.words.suffix
        name, _ = QFileDialog.getSaveFileName(
            self._parent, title, f"{stem}{suffix}", f"Folder (*{suffix})"
        )
        if name:
            then(Path(name if name.endswith(suffix) else f"{name}{suffix}"))

    def save_copy(self, target: Path) -> None:
        """Write a copy of the set and say so."""
        try:
            folder = self._session.checked_folder()
            wait_for(partial(folder.save_copy, target))
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(f"Copied to {target}.", False)

    def may_leave(self) -> bool:
        """Write the last changes; if that cannot be, ask whether to lose them. False: stay."""
        folder = self._session.folder
        if folder is None or folder.is_closed:
            return True
        self.before_close()
        wait_for(folder.flush)
        if folder.save_error is None:
            return True
        text = f"The last changes cannot be saved: {folder.save_error}.\n\nLose them, and close?"
        return questions.may(self._parent, "Lose the last changes?", text)

    def close_set(self, *, asks: bool = True) -> bool:
        """Let go of the set that is open; False if it stays, as its changes cannot be saved.

        Parameters
        ----------
        asks
            Whether the person may still say no.
        """
        folder = self._session.folder
        if folder is None:
            return True
        if asks and not self.may_leave():
            return False
        try:
            self.before_close()
            wait_for(folder.close)
        except UserError as error:
            self.told.emit(str(error), True)
        self._session.use(None)
        return True

    def before_close(self) -> None:
        """Bring in what is not in the set yet; called before it is closed."""

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)
        self._end()


def _hide(layers: Sequence[Any], _images: Sequence[Any]) -> None:
    """Hide the layers whose pictures are in the set: what was refused stays in sight."""
    for layer in layers:
        layer.visible = False


def source_of(ref: ImageRef) -> str:
    """Return what an image of a set says of where its pixels are."""
    return str(ref.path) if ref.page is None else f"{ref.path}#page={ref.page}"


def _open_noted(open_folder: Callable[..., Any], folder: Path, recent: Path, repair: bool) -> Any:
    opened = open_folder(folder, repair=repair)
    try:
        remember(recent, opened.folder)
    except UserError as error:  # the set is open all the same
        _log.warning("%s", error)
    return opened
