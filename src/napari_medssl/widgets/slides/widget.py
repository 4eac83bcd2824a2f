"""The dock widget "Slides": a library, the slide in front, its map and its regions.

More than 300 lines: the one place where all parts are put together; each part has its own file.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QMenu, QSplitter, QTabWidget, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.widgets._async_slicing import AsyncOffer
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import MenuEntry
from napari_medssl.widgets._commands import register_keys
from napari_medssl.widgets._gl_context import keep_context
from napari_medssl.widgets._header import Header
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets._messages import Messages
from napari_medssl.widgets._settings import Settings, on_settings_changed, read_settings
from napari_medssl.widgets._shortcuts import CheatSheet
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets._window_events import CloseGuard
from napari_medssl.widgets.slides.beside import SideBySide
from napari_medssl.widgets.slides.commands import COMMANDS
from napari_medssl.widgets.slides.convert_panel import ConvertPanel
from napari_medssl.widgets.slides.display import SlideDisplay
from napari_medssl.widgets.slides.libraries import open_usual_library
from napari_medssl.widgets.slides.library_files import LibraryFiles
from napari_medssl.widgets.slides.library_list import LibraryList
from napari_medssl.widgets.slides.private_images import PrivateImages
from napari_medssl.widgets.slides.reading import slide_thumbnail
from napari_medssl.widgets.slides.region_panel import RegionPanel
from napari_medssl.widgets.slides.relocation import Relocation
from napari_medssl.widgets.slides.session import SlidesSession
from napari_medssl.widgets.slides.slide_menu import SlideMenu
from napari_medssl.widgets.slides.view_panel import ViewPanel

_log = logging.getLogger(__name__)


class SlidesWidget(QWidget):
    """Keep a library of whole-slide images, look at them and draw regions on them.

    Parameters
    ----------
    napari_viewer
        The viewer that shows the slides.
    libraries
        Folder for libraries without a place of their own; by default one in the user's data folder.
    """

    def __init__(self, napari_viewer: Any, libraries: Path | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._is_down = False
        keep_context(napari_viewer)
        self.session = SlidesSession(open_usual_library(libraries))
        self.files = LibraryFiles(self.session, self, libraries)
        self.thumbnails = Thumbnails(self._make_thumbnail, self)
        self.display = SlideDisplay(napari_viewer, self.session, self)
        self.beside = SideBySide(napari_viewer, self.session, self)
        self._build()
        self._connect()
        self._guard = CloseGuard(self, lambda: True, self.shut_down)
        self.setAcceptDrops(True)
        self.files.look(self.session.entries(), "glance")
        self.display.take_over()

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        self.list = LibraryList(self.session, self.thumbnails, self)
        self.view = ViewPanel(self._viewer, self.session, self.display, self)
        self.regions = RegionPanel(self._viewer, self.session, self.display, self)
        register_keys(self.regions.keys, COMMANDS.values(), self)
        self.converting = ConvertPanel(self.session, self.list.selected_keys, self)
        self.private = PrivateImages(self.session, self)
        self.relocation = Relocation(self.session, self)
        self.offer = AsyncOffer()
        self.menu = SlideMenu(self)
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        self.pages.addTab(self.view, "View")
        self.pages.addTab(self.regions, "Regions")
        self.pages.addTab(self.converting, "Convert")
        self.messages = Messages(self.session.masked_text)
        self.status, self.error = self.messages.status, self.messages.error
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.list)
        parts.addWidget(self.pages)
        parts.setStretchFactor(0, 3)
        parts.setStretchFactor(1, 2)
        parts.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addWidget(self._build_header())
        layout.addWidget(parts, 1)
        for widget in (self.offer, self.files.jobs, self.messages):
            layout.addWidget(widget)
        self.setMinimumWidth(340)

    def _build_header(self) -> QWidget:
        self.open_menu, self.library_menu = QMenu(self), QMenu(self)
        self.files.fill_open_menu(self.open_menu)
        self.files.fill_library_menu(self.library_menu)
        self.mask_entry = MenuEntry(
            self.library_menu,
            "Hide names",
            "Show short names that tell nothing of the patient, the same ones for good",
            self._mask,
        )
        self.mask_entry.setCheckable(True)
        self.library_menu.addSeparator()
        self.library_menu.addAction(self.mask_entry)
        header = Header(
            (
                ("Open", "Link slides, a folder, a URL, or open a library", self.open_menu),
                ("Library", "Libraries, refreshing, verifying, names", self.library_menu),
            ),
            self.show_keys,
        )
        self.title = header.title
        self.title.setToolTip("The library that is open")
        return header

    def _connect(self) -> None:
        self.list.opened.connect(self.open_slide)
        self.files.told.connect(self.messages.tell)
        self.view.told.connect(self.messages.tell)
        self.regions.told.connect(self.messages.tell)
        self.converting.told.connect(self.messages.tell)
        self.private.told.connect(self.messages.tell)
        self.relocation.told.connect(self.messages.tell)
        self.display.failed.connect(self.messages.refuse)
        self.display.recovered.connect(self._on_recovered)
        self.beside.failed.connect(self.messages.refuse)
        self.beside.shown.connect(self._on_beside)
        self.display.shown.connect(self._on_shown)
        self.session.library_changed.connect(self._show_title)
        self.session.masked_changed.connect(self._on_masked)
        self._saver = QTimer(self)
        self._saver.setInterval(1000)
        self._saver.timeout.connect(self._check_saved)
        self._saver.start()
        # A dock may be destroyed without being closed; self is gone by then.
        threads = (self.relocation.background, self.thumbnails.background, self.view.background)
        when_gone(self, _shut_down, self.session, *threads)
        self._show_title()
        self._on_masked()
        self._use_settings(read_settings())
        on_settings_changed(_unless_gone(self, SlidesWidget._use_settings))

    def _make_thumbnail(self, key: str, cache: DiskCache | None) -> Callable[[], np.ndarray]:
        if not self.session.has(int(key)):
            raise UserError("The slide is not on the list any more.")
        return partial(slide_thumbnail, self.session.entry(int(key)), cache)

    def _use_settings(self, settings: Settings) -> None:
        cache = settings.open_cache("slides")
        self.thumbnails.use(settings.has_thumbnails, cache)
        self.view.use_cache(cache)

    # -- doing -----------------------------------------------------------------------------------

    def open_slide(self, key: int) -> None:
        """Show a slide of the list."""
        if self.session.has(key):
            self.messages.refuse("")
            self.messages.say(f"Opening {self.session.title(key)} ...")
            self.display.open(key)

    def convert(self, keys: list[int]) -> None:
        """Show the page that converts slides; the button there starts it."""
        self.pages.setCurrentWidget(self.converting)
        if keys:
            self.list.mark(keys[0])

    def marked(self) -> list[int]:
        """Return the slides marked in the list, or the one in front if none is."""
        front = [] if self.session.current is None else [self.session.current]
        return self.list.selected_keys() or front

    def take_off(self) -> None:
        """Take the slides marked in the list off it; their files stay."""
        keys = self.list.selected_keys()
        if keys:
            self.files.remove(keys)

    def focus_go_to(self) -> None:
        """Let a person type a place."""
        self.pages.setCurrentWidget(self.view)
        self.view.go_to.setFocus()

    def show_keys(self) -> None:
        """Show the cheat sheet: the keys act while the layer of regions is selected."""
        CheatSheet(self.regions.keys, self).show()

    def open_beside(self, key: int) -> None:
        """Show a slide of the list in a view of its own beside the one in front."""
        if self.session.has(key):
            self.messages.refuse("")
            self.messages.say(f"Opening {self.session.title(key)} ...")
            self.beside.open(key)

    def _on_beside(self) -> None:
        self.messages.say(
            "Both views move together; unlink, align and link again to match the slides."
        )

    def _on_shown(self) -> None:
        self.messages.refuse("")
        self.messages.say("")
        self.offer.offer()

    def _on_recovered(self) -> None:
        self.messages.refuse("")

    def _mask(self) -> None:
        self.session.mask(self.mask_entry.isChecked())

    def _on_masked(self) -> None:
        self.mask_entry.setChecked(self.session.is_masked)
        self.messages.mask_again()  # what was said before names a slide too

    # -- words -----------------------------------------------------------------------------------

    def _check_saved(self) -> None:
        reason = self.session.library.save_error or self.regions.files.save_error
        if reason is not None:
            self.messages.refuse(f"Changes cannot be saved: {reason}. They are kept in memory.")

    def _show_title(self) -> None:
        name = self.session.library.folder.stem
        if self.files.choice.is_usual:  # "My slides 2" where another window has the first one
            name = f"My {name.lower()}"
        self.title.setText(f"<b>{name}</b>")

    # -- window ----------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take files that are dragged in."""
        if event is not None and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Link slides, folders and libraries that are dropped."""
        if event is not None:
            paths = [Path(url.toLocalFile()) for url in event.mimeData().urls()]
            self.files.add_paths(path for path in paths if path.exists())

    def shut_down(self) -> None:
        """Stop all threads and close the library: the window is about to go."""
        if self._is_down:
            return
        self._is_down = True
        self._saver.stop()
        self.files.jobs.cancel()
        self.converting.jobs.cancel()
        self.private.background.close()
        self.view.close_down()
        self.beside.close()
        self._close_saved(self.regions.close_down)
        self.display.close()
        self.session.leave()
        self._close_saved(partial(wait_for, self.session.library.close))
        _shut_down(self.session, self.relocation.background, self.thumbnails.background)

    def _close_saved(self, close: Callable[[], None]) -> None:
        try:
            close()
        except UserError:
            _log.exception("the last changes were not saved")


def _unless_gone(
    widget: SlidesWidget, call: Callable[[SlidesWidget, Settings], None]
) -> Callable[[Settings], None]:
    """Return a callback that does not keep the widget: napari's settings outlive it."""
    known = weakref.ref(widget)

    def tell(settings: Settings) -> None:
        widget = known()
        if widget is not None and not widget.session.library.is_closed:
            call(widget, settings)

    return tell


def _shut_down(session: SlidesSession, *threads: Background) -> None:
    for thread in threads:
        thread.close()
    if session.library.is_closed:
        return
    session.leave()
    try:
        session.library.close()
    except UserError:
        _log.exception("the last changes of the library were not saved")
