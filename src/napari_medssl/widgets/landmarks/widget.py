"""The dock widget "Landmarks": click a template, see the match in every image, correct, export.

More than 300 lines: the one place where all parts are put together; each part has its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QSpinBox,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.state.landmark_folder import LandmarkFolder
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import NarrowButton, row_of
from napari_medssl.widgets._commands import register_keys
from napari_medssl.widgets._gl_context import keep_context
from napari_medssl.widgets._header import Header
from napari_medssl.widgets._image_thumbnails import cached_thumbnail
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets._messages import Messages
from napari_medssl.widgets._set_places import shown_name
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets._shortcuts import CheatSheet, ShortcutRegistry
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets._warm_layers import warm_tables
from napari_medssl.widgets._window_events import CloseGuard, FieldKeys, TabKeys
from napari_medssl.widgets.landmarks.actions import PointActions
from napari_medssl.widgets.landmarks.commands import COMMANDS
from napari_medssl.widgets.landmarks.engine import Engine
from napari_medssl.widgets.landmarks.exchange_menu import ExchangeMenu
from napari_medssl.widgets.landmarks.hover import Hover
from napari_medssl.widgets.landmarks.image_layers import ImageLayers
from napari_medssl.widgets.landmarks.image_list import ImageList
from napari_medssl.widgets.landmarks.maps import SimilarityMaps
from napari_medssl.widgets.landmarks.matching import Matching
from napari_medssl.widgets.landmarks.measure_panel import MeasurePanel
from napari_medssl.widgets.landmarks.model_choice import ModelChoice
from napari_medssl.widgets.landmarks.mouse import MouseTool
from napari_medssl.widgets.landmarks.point_layer import PointLayers
from napari_medssl.widgets.landmarks.point_table import PointTable
from napari_medssl.widgets.landmarks.second_template import SecondTemplate
from napari_medssl.widgets.landmarks.session import LandmarkSession
from napari_medssl.widgets.landmarks.set_files import SetFiles

_MOST_SHOWN = 32
_SAVED_MS = 500


class LandmarksWidget(QWidget):
    """Place landmarks in one image, find them in all others, check and export.

    Parameters
    ----------
    napari_viewer
        The viewer that shows the images.
    make_engine
        Returns what compares images; by default the model chosen, in the compute process.
    folder
        Where sets without a place of their own are kept; by default the user's data folder.
    """

    def __init__(
        self,
        napari_viewer: Any,
        make_engine: Callable[[], Engine] | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        warm_tables()
        keep_context(napari_viewer)
        self._viewer = napari_viewer
        self.is_closed = False
        self._words = ""
        self.session = LandmarkSession()
        self.model = ModelChoice(self.session, self)
        self.images = ImageLayers(napari_viewer, self.session, self)
        self.matching = Matching(
            self.session, make_engine or self.model.make_engine, self._shown_images, self
        )
        self.points = PointLayers(napari_viewer, self.session, self.images, self)
        self.maps = SimilarityMaps(napari_viewer, self.session, self.images, self.matching, self)
        self.hover = Hover(self.session, self.matching, self.images, self.points, self)
        self.mouse = MouseTool(
            napari_viewer, self.session, self.images, self.points, self._is_ours, self
        )
        self.files = SetFiles(napari_viewer, self.session, self, folder)
        self.exchange = ExchangeMenu(
            self.session, self, None if folder is None else folder / "templates"
        )
        self.actions_on_points = PointActions(self.session, self.exchange, self)
        self.second = SecondTemplate(self.session, self.matching, self)
        self.thumbnails = Thumbnails(self._make_thumbnail, self)
        self.keys = ShortcutRegistry()
        register_keys(self.keys, COMMANDS.values(), self)
        self._build()
        self._connect()
        self._guard = CloseGuard(self, self.files.may_leave, self.shut_down)
        self._tab_keys = TabKeys(self, self._is_ours, self.actions_on_points.step_candidate)
        self._field_keys = FieldKeys(self)
        self.setAcceptDrops(True)

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        self.list = ImageList(self.session, self.thumbnails, self)
        self.table = PointTable(self.session, self)
        self.measure = MeasurePanel(self.session)
        self.messages = Messages()
        self.status, self.error = self.messages.status, self.messages.error
        self.bar = QProgressBar()
        self.bar.setFormat("%v of %m images looked at")
        self.bar.setToolTip("Images whose features are computed, in the background")
        self.bar.hide()
        pages = QTabWidget()
        pages.setDocumentMode(True)
        pages.addTab(self._build_points(), "Landmarks")
        pages.addTab(self.measure, "Measure")
        self.pages = pages
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.list)
        parts.addWidget(pages)
        parts.setSizes([1, 1])
        parts.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addWidget(self._build_header())
        layout.addWidget(parts, 1)
        layout.addLayout(self._build_view())
        for widget in (self.bar, self.second.line, self.messages):
            layout.addWidget(widget)
        self.setMinimumWidth(360)

    def _build_header(self) -> QWidget:
        self.open_menu, self.set_menu = QMenu(self), QMenu(self)
        self.files.fill_open_menu(self.open_menu)
        self.exchange.fill_menu(self.set_menu)
        header = Header(
            (
                ("Open", "Open images, a folder, layers or a set of landmarks", self.open_menu),
                ("Landmarks", "Templates, import, export, pixel size", self.set_menu),
            ),
            self.show_keys,
        )
        self.title = header.title
        return header

    def _build_points(self) -> QWidget:
        act = self.actions_on_points
        self.new_name = QLineEdit()
        self.new_name.setPlaceholderText("Add a landmark")
        self.new_name.setToolTip("Type its name and press Enter; clicks place them in order")
        self.new_name.returnPressed.connect(self._on_new_name)
        first = row_of(
            [
                NarrowButton("Confirm", "It is right; go to the next (Enter or A)", act.confirm),
                NarrowButton("All", "Confirm all of this image (Shift+A)", act.confirm_image),
                NarrowButton("Next", "The least certain point first (N)", self.go_next),
                NarrowButton("Back", "Back in that order (P)", self.go_back),
                NarrowButton("Other place", "What else the program offers (Tab)", self.next_offer),
            ]
        )
        second = row_of(
            [
                NarrowButton("Not here", "Not in this image (X)", act.set_absent),
                NarrowButton("Clear", "Make it undefined (Delete)", act.clear),
                NarrowButton("Lock", "Lock or unlock (L)", act.toggle_lock),
                NarrowButton("Template", "Search with this point, too (T)", act.toggle_template),
                NarrowButton("Undo", "Take back the last edit (Ctrl+Z)", act.undo),
                NarrowButton("Redo", "Do it again (Ctrl+Shift+Z)", act.redo),
            ]
        )
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.new_name)
        layout.addLayout(first)
        layout.addLayout(second)
        return page

    def _build_view(self) -> Any:
        self.maps_box = QCheckBox("Similarity")
        self.maps_box.setToolTip("Show how like the landmark each part of the images looks (M)")
        self.maps_box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.page_box = QSpinBox()
        self.page_box.setRange(1, _MOST_SHOWN)
        self.page_box.setValue(self.images.page_size)
        self.page_box.setPrefix("+ ")
        self.page_box.setToolTip("How many images are shown beside the template")
        hint = NarrowButton("Second template?", "Which one would help most (H)", self.suggest)
        first = row_of([self.maps_box, self.page_box, hint])
        second = row_of([QLabel("Model"), self.model.box])
        second.setStretch(1, 1)
        rows = QVBoxLayout()
        rows.setSpacing(3)
        rows.addLayout(first)
        rows.addLayout(second)
        return rows

    def _connect(self) -> None:
        for part in (self.files, self.exchange, self.actions_on_points, self.measure, self.second):
            part.told.connect(self._tell)
        self.model.changed.connect(self.matching.start_anew)
        self.files.added.connect(self._on_added)
        self.matching.progressed.connect(self._on_progress)
        for failed in (self.matching.failed, self.images.failed, self.maps.failed):
            failed.connect(self.messages.refuse)
        self.mouse.refused.connect(self._on_click)
        self.mouse.hovered.connect(self.hover.follow)
        self.table.refused.connect(self.messages.refuse)
        self.table.removing.connect(self.actions_on_points.remove_name)
        self.maps_box.toggled.connect(self.maps.switch)
        self.page_box.valueChanged.connect(self.images.set_page_size)
        self.points.made.connect(self._bind_keys)
        self.images.made.connect(self._bind_keys)
        self.session.set_changed.connect(self._on_set)
        self.list.view.customContextMenuRequested.connect(self._on_list_menu)
        self.list.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.view.doubleClicked.connect(self._on_double_click)
        settings = read_settings()
        self.thumbnails.use(settings.has_thumbnails, settings.open_cache("thumbnails"))
        self._saver = QTimer(self)
        self._saver.setInterval(_SAVED_MS)
        self._saver.timeout.connect(self._show_saved)
        self._saver.start()
        self._threads = (
            *self.matching.threads,
            self.thumbnails.background,
            self.images.background,
            self.maps.background,
            self.files.background,
            self.exchange.background,
            self.second.background,
        )
        when_gone(self, _let_go, self.session, self._threads)
        self._on_set()

    # -- parts that meet -------------------------------------------------------------------------

    def _shown_images(self) -> tuple[int, ...]:
        return self.images.shown

    def _make_thumbnail(self, key: str, cache: DiskCache | None) -> Callable[[], Any]:
        if int(key) not in self.session.store:
            raise UserError("The image is not in the set any more.")
        ref = self.session.store.image(int(key)).ref
        return partial(cached_thumbnail, ref.path, ref.page, cache, robust=True)

    def _is_ours(self) -> bool:
        """Whether mouse and keys on the canvas are ours: one of our layers is selected."""
        active = self._viewer.layers.selection.active
        if self.is_closed or active is None or not self.images.mosaic.spots:
            return False
        if self._viewer.dims.ndisplay != 2:  # a place under a turned camera is none of the image
            return False
        kind = active.metadata.get("medssl", {}).get("kind", "")
        is_our_layer = active in self.images.layers or kind.startswith(("landmark", "image name"))
        return is_our_layer and getattr(active, "mode", "pan_zoom") == "pan_zoom"

    def _bind_keys(self, layer: Any) -> None:
        self.keys.bind(layer)
        self._tab_keys.attach(self.window())

    def _on_set(self) -> None:
        folder = self.session.folder
        self.title.setText("No images" if folder is None else f"<b>{shown_name(folder.folder)}</b>")
        self.title.setToolTip("" if folder is None else str(folder.folder))
        self._words = ""

    def _on_added(self, keys: tuple[int, ...]) -> None:
        if self.session.image is None and keys:
            self.session.choose(keys[0])
        if self.points.layer is not None and self.points.layer in self._viewer.layers:
            self._viewer.layers.selection.active = self.points.layer

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)
        self.bar.setVisible(done < total)

    def _on_click(self, text: str) -> None:
        self.messages.refuse(text)
        if not text:
            self._words = ""

    def _on_new_name(self) -> None:
        name = self.new_name.text()
        self.actions_on_points.add_name(name)
        if not self.error.text():
            self.new_name.clear()

    def _on_double_click(self, *_: object) -> None:
        self.zoom()

    def _on_list_menu(self, at: Any) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        act = self.actions_on_points
        for title, do in (
            ("Make it the template", act.make_front),
            ("Copy points", act.copy),
            ("Paste points", act.paste),
            ("Remove ...", lambda: act.remove_images(self.list.selected_keys())),
        ):
            menu.addAction(title, do)
        menu.popup(self.list.view.viewport().mapToGlobal(at))

    # -- what a person does ----------------------------------------------------------------------

    def step_queue(self, by: int) -> None:
        """Go to the next point to check, and show it."""
        self.actions_on_points.step_queue(by)

    def go_next(self) -> None:
        """Go to the next point to check."""
        self.step_queue(1)

    def go_back(self) -> None:
        """Go back in the queue."""
        self.step_queue(-1)

    def next_offer(self) -> None:
        """Move the point to the next place that the program offers."""
        self.actions_on_points.step_candidate(1)

    def suggest(self) -> None:
        """Say which second template would help most."""
        self.second.ask()

    def zoom(self) -> None:
        """Show the image in front large."""
        if self.session.image is not None:
            self.images.look_at(self.session.image, zoom=True)

    def show_keys(self) -> None:
        """Show the cheat sheet."""
        CheatSheet(self.keys, self).show()

    # -- words -----------------------------------------------------------------------------------

    def _tell(self, text: str, is_error: bool) -> None:
        self.messages.refuse(text if is_error else "")
        self._words = "" if is_error else text
        self._show_saved()

    def _show_saved(self) -> None:
        folder = self.session.folder
        if folder is None or folder.is_closed:
            if not self.error.text():
                self.messages.say(self._words)
            return
        if folder.save_error is not None:
            self.messages.refuse(
                f"Changes cannot be saved: {folder.save_error}. They are kept in memory."
            )
            return
        saved = "saved" if folder.is_saved else "saving ..."
        if not self.error.text():
            self.messages.say(" · ".join(part for part in (self._words, saved) if part))

    # -- window ----------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take images, folders and sets that are dragged in."""
        if event is not None and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what is dropped."""
        if event is not None:
            self.files.add_paths([Path(url.toLocalFile()) for url in event.mimeData().urls()])

    def shut_down(self) -> None:
        """Stop all threads, save, and let go of the viewer: the window is about to go."""
        if self.is_closed:
            return
        self.is_closed = True
        self._saver.stop()
        self.mouse.close()
        self.hover.close()
        self.matching.close()
        self.measure.close_down()
        self.files.close_set(asks=False)
        self.points.close()
        self.maps.close()
        self.images.close()
        _let_go(self.session, self._threads)


def _let_go(session: LandmarkSession, threads: tuple[Background, ...]) -> None:
    for thread in threads:
        thread.close()
    folder: LandmarkFolder | None = session.folder
    if folder is not None and not folder.is_closed:
        folder.close()
