"""The dock widget "Figure separation": list of figures, boxes as a layer, keys and buttons.

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
from qtpy.QtWidgets import QLabel, QMenu, QSplitter, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.find_panels import FigureSeparator
from napari_medssl.state.drafts import clear_empty_drafts, clear_if_empty
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import PushButton, add_entry, row_of
from napari_medssl.widgets._commands import register_keys
from napari_medssl.widgets._gl_context import keep_context
from napari_medssl.widgets._header import Header
from napari_medssl.widgets._image_thumbnails import cached_thumbnail
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets._settings import Settings, on_settings_changed, read_settings
from napari_medssl.widgets._shortcuts import CheatSheet, ShortcutRegistry
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets._window_events import CloseGuard, FieldKeys, TabKeys
from napari_medssl.widgets.separation.actions import BoxActions
from napari_medssl.widgets.separation.commands import COMMANDS
from napari_medssl.widgets.separation.controls import (
    EditControls,
    ReviewControls,
    ScoreFilter,
)
from napari_medssl.widgets.separation.detection import Detection
from napari_medssl.widgets.separation.detector_panel import DetectorPanel
from napari_medssl.widgets.separation.display import FigureDisplay
from napari_medssl.widgets.separation.figure_list import FigureList
from napari_medssl.widgets.separation.figure_menu import FigureMenu
from napari_medssl.widgets.separation.gutter_tool import GutterTool
from napari_medssl.widgets.separation.improve_panel import ImprovePanel
from napari_medssl.widgets.separation.key_relay import KeyRelay
from napari_medssl.widgets.separation.layer_view import BoxLayer
from napari_medssl.widgets.separation.panel_table import PanelTable
from napari_medssl.widgets.separation.project_files import ProjectFiles
from napari_medssl.widgets.separation.separate_job import GivenFinder, PanelFinder, TrainedFinder
from napari_medssl.widgets.separation.session import Session

_PREPARE_MS = 300  # the figure is drawn first
_log = logging.getLogger(__name__)


class SeparationWidget(QWidget):
    """Split compound figures into panels and correct the boxes, all day long.

    Parameters
    ----------
    napari_viewer
        The viewer that shows the figures.
    separator_factory
        Makes what finds the panels, called off the GUI thread when first needed; by default the
        trained detector runs in the compute process, on the device of napari's preferences.
    drafts
        Folder for projects without a name; by default one in the user's data folder.
    """

    def __init__(
        self,
        napari_viewer: Any,
        separator_factory: Callable[[], FigureSeparator] | None = None,
        drafts: Path | None = None,
    ) -> None:
        super().__init__()
        from napari_medssl.state.drafts import drafts_folder, new_draft

        self._viewer = napari_viewer
        keep_context(napari_viewer)
        self._given = None if separator_factory is None else GivenFinder(separator_factory)
        self._must_separate = False
        self._device = ""
        self._drafts = (drafts or drafts_folder()).expanduser().absolute()
        self.session = Session(new_draft(drafts))
        self.files = ProjectFiles(napari_viewer, self.session, self, drafts)
        self.view = BoxLayer(napari_viewer, self.session)
        self.actions_on_boxes = BoxActions(napari_viewer, self.session, self.view)
        self._gutters = GutterTool(napari_viewer, self.session, self.view)
        self.display = FigureDisplay(napari_viewer, self.session, self.view, self)
        self.detection = Detection(self.session, self._finder(), self)
        self.jobs = self.detection.jobs
        self.thumbnails = Thumbnails(self._make_thumbnail, self)
        self.keys = ShortcutRegistry()
        register_keys(self.keys, COMMANDS.values(), self)
        self._build()
        self._connect()
        self._guard = CloseGuard(self, self.files.may_leave, self.shut_down)
        self._tab_keys = TabKeys(self, self._is_layer_active, self._on_tab)
        self._field_keys = FieldKeys(self)
        self._relay = KeyRelay(self, self.keys, [self.figures.view, self.table])
        self.setAcceptDrops(True)
        self._offer_drafts()

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        self.figures = FigureList(self.session, self.thumbnails, self)
        self.table = PanelTable(self.session, self.actions_on_boxes, self)
        self.score = ScoreFilter(self.session, self)
        self.edits = EditControls(self.session, self.actions_on_boxes, self)
        self.review = ReviewControls(self, self.session, self)
        self.separate_button = PushButton(
            "Separate",
            "Find the panels of this figure anew; with none open, of the selected layer (D)",
            self.separate,
        )
        self.separate_all_button = PushButton(
            "Separate all",
            "Find the panels of all figures to do that have no boxes yet",
            self.separate_all,
        )
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setToolTip("What was done last, and whether your work is on disk")
        self.error = QLabel()
        self.error.setWordWrap(True)
        self.error.setStyleSheet("color: #e5484d;")
        self.error.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.error.hide()
        self.detector = DetectorPanel(self)
        self.improve = ImprovePanel(self.session, self)
        self.detector.room.addWidget(self.improve)
        self.menu = FigureMenu(self.session, self.figures, self.detection)
        lists = QSplitter(Qt.Orientation.Vertical)
        lists.addWidget(self.figures)
        lists.addWidget(self.table)
        lists.setStretchFactor(0, 3)
        lists.setStretchFactor(1, 2)
        lists.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addWidget(self._build_header())
        layout.addWidget(lists, 1)
        layout.addLayout(row_of([self.separate_button, self.separate_all_button]))
        for widget in (
            self.detector,
            self.jobs,
            self.files.exchange.jobs,
            self.score,
            self.edits,
            self.review,
            self.error,
            self.status,
        ):
            layout.addWidget(widget)
        self.setMinimumWidth(330)

    def _build_header(self) -> QWidget:
        self.open_menu, self.project_menu = QMenu(self), QMenu(self)
        self.files.fill_open_menu(self.open_menu)
        self.files.fill_project_menu(self.project_menu)
        header = Header(
            (
                ("Open", "Open images, PDFs, a folder, a layer or a project", self.open_menu),
                ("Project", "Save, import and export", self.project_menu),
            ),
            self.show_keys,
        )
        self.title = header.title
        self.title.setToolTip("The project that is open")
        return header

    def _connect(self) -> None:
        self.figures.chosen.connect(self.open_figure)
        self.files.told.connect(self._tell)
        self.files.added.connect(self._on_added)
        self.view.made.connect(self._on_layer)
        self.display.shown.connect(self._on_shown)
        self.display.failed.connect(self._on_unreadable)
        self.detection.told.connect(self._tell)
        self.detector.chosen.connect(self.improve.choose)
        self.improve.model_changed.connect(self._use_model)
        self.menu.told.connect(self._tell)
        self.jobs.ended.connect(self._show_buttons)
        self._viewer.layers.selection.events.changed.connect(self._show_buttons)
        self.actions_on_boxes.refused.connect(self.refuse)
        self.session.project_changed.connect(self._on_project)
        self.session.current_changed.connect(self._show_buttons)
        self.session.figures_changed.connect(self._show_buttons)
        self._saver = QTimer(self)
        self._saver.setInterval(500)
        self._saver.timeout.connect(self._show_saved)
        self._saver.start()
        # A dock may be destroyed without being closed; self is gone by then.
        threads = (self.files.background, self.thumbnails.background)
        when_gone(self, _shut_down, self.session, *threads)
        self._on_project()
        self._use_settings(read_settings())
        on_settings_changed(_unless_gone(self, SeparationWidget._use_settings))

    # -- figures ---------------------------------------------------------------------------------

    def _make_thumbnail(self, key: str, cache: DiskCache | None) -> Callable[[], np.ndarray]:
        project = self.session.project
        return partial(cached_thumbnail, project.path(key), project.info(key).page, cache)

    def open_figure(self, key: str) -> None:
        """Read a figure in a thread and put it in front."""
        self.display.open(key)

    def _on_shown(self) -> None:
        self.refuse("")
        self._bind_keys()
        if self._must_separate:
            self._must_separate = False
            self.detection.separate_current()
        else:
            QTimer.singleShot(_PREPARE_MS, self.detection.prepare)

    def _on_layer(self, layer: Any) -> None:
        """Give the keys and the mouse tool to a layer that is new, or new after a deletion."""
        self._gutters.attach(layer)
        self.keys.bind(layer)

    def _bind_keys(self) -> None:
        for layer in (self.view.ensure_layer(), self.display.layer):
            if layer is not None:
                self.keys.bind(layer)
        self._tab_keys.attach(self.window())

    def _on_unreadable(self, reason: str) -> None:
        self._must_separate = False
        if self.session.current is not None:
            self._bind_keys()
        self.refuse(reason)

    def _on_added(self, keys: tuple[str, ...]) -> None:
        if keys:
            self.open_figure(keys[0])

    def _use_model(self, name_or_file: str) -> None:
        """Find panels with the model that the project uses, "" for the shipped one."""
        self.detector.show_model(name_or_file)
        self.detection.use(self._finder(name_or_file))

    def _finder(self, model: str = "") -> PanelFinder:
        if self._given is not None and not model:
            return self._given
        return TrainedFinder(model, read_settings().device)

    def _use_settings(self, settings: Settings) -> None:
        self.session.set_autosave(settings.autosave_s)
        self.thumbnails.use(settings.has_thumbnails, settings.open_cache("thumbnails"))
        if self._device not in ("", settings.device):
            self._use_model(self.session.project.model)
        self._device = settings.device

    def step(self, by: int) -> None:
        """Go down or up the list as it is shown."""
        key = self.figures.neighbour(by)
        if key is not None:
            self.open_figure(key)

    # -- decisions -------------------------------------------------------------------------------

    def accept(self) -> None:
        """The boxes shown are right; go to the next figure."""
        self._decide(ReviewState.DONE)

    def reject(self) -> None:
        """The figure is of no use; go to the next."""
        self._decide(ReviewState.REJECTED)

    def unsure(self) -> None:
        """Somebody has to look again; go to the next."""
        self._decide(ReviewState.UNSURE)

    def _decide(self, state: ReviewState) -> None:
        if self.session.current is None:
            self.refuse("No figure is open. Open one from the list first.")
            return
        if self.display.is_opening:
            return  # meant for the figure that is about to come, which nobody has seen
        if state == ReviewState.DONE and self.session.is_unreadable:
            self.refuse("This figure cannot be read, so not be accepted. X rejects it, N goes on.")
            return
        self.session.set_state(state)
        self.next()

    def next(self) -> None:
        """Go to the next unchecked figure."""
        key = self.session.next_unchecked()
        if key is None:
            self._tell("All figures are checked." if len(self.session.project) else "", False)
        else:
            self.open_figure(key)

    def separate(self) -> None:
        """Find the panels of the figure in front, or of the layer that is selected."""
        if self.session.is_unreadable:  # perhaps the file is back
            self._must_separate = True
            self.open_figure(str(self.session.current))
            return
        if self.session.current is not None:
            self.detection.separate_current()
            return
        self._must_separate = True
        self.files.add_layer()

    def separate_all(self) -> None:
        """Find the panels of all figures to do that have no boxes yet."""
        self.detection.separate_all()
        self._show_buttons()

    # -- words -----------------------------------------------------------------------------------

    def _tell(self, text: str, is_error: bool) -> None:
        self.refuse(text if is_error else "")
        self._words = "" if is_error else text
        self._show_saved()

    def refuse(self, text: str) -> None:
        """Show why something cannot be done; an empty text takes the line away."""
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def _show_saved(self) -> None:
        project = self.session.project
        if project.is_closed:
            return
        if project.save_error is not None:
            self.refuse(f"Changes cannot be saved: {project.save_error}. They are kept in memory.")
            return
        saved = "saved" if project.is_saved else "saving ..."
        kind = "Draft" if self.files.is_draft else "Project"
        self.status.setText(" · ".join(part for part in (self._words, f"{kind} {saved}") if part))

    def _on_project(self) -> None:
        self._words = ""
        name = "New project" if self.files.is_draft else self.session.project.folder.stem
        self.title.setText(f"<b>{name}</b>")
        self._show_buttons()
        self._show_saved()

    def _show_buttons(self, *_: Any) -> None:
        has_figures = len(self.session.project) > 0
        self.separate_button.setEnabled(self.session.current is not None or self.files.has_layer)
        self.review.next.setEnabled(has_figures)
        self.separate_all_button.setEnabled(has_figures and not self.jobs.is_busy)

    def show_keys(self) -> None:
        """Show the cheat sheet."""
        CheatSheet(self.keys, self).show()

    def _is_layer_active(self) -> bool:
        layer = self.view.layer
        return layer is not None and self._viewer.layers.selection.active is layer

    def _on_tab(self, step: int) -> None:
        self.actions_on_boxes.do(partial(self.actions_on_boxes.cycle, step))

    # -- window ----------------------------------------------------------------------------------

    def _offer_drafts(self) -> None:
        clear = partial(clear_empty_drafts, self._drafts)
        self.files.background.submit("clear", clear, _log_drafts, _log_drafts)
        left = self.files.left_behind()
        if left:
            menu = self.open_menu.addMenu(f"Drafts ({len(left)})")
            for folder in left[:12]:
                open_it = partial(self.files.open_project, folder)
                add_entry(menu, folder.stem, f"Open the draft {folder}", open_it)
            self._tell(f"{len(left)} draft(s) of earlier work: see Open > Drafts.", False)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take files that are dragged in."""
        if event is not None and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open files, folders and projects that are dropped."""
        if event is not None:
            paths = [Path(url.toLocalFile()) for url in event.mimeData().urls()]
            self.files.add_paths(path for path in paths if path.exists())

    def shut_down(self) -> None:
        """Stop all threads and close the project: the window or the dock has closed."""
        self._saver.stop()
        self.detection.close()
        self.improve.close_jobs()
        self.files.exchange.jobs.cancel()
        self.display.close()
        for layer in (self.view.layer, self.display.layer):
            if layer is not None:
                layer.locked = False
        for thread in (self.files.background, self.thumbnails.background):
            thread.close()
        project = self.session.project
        if project.is_closed:
            return
        self.session.leave_figure(silently=True)
        try:
            wait_for(project.close)
        except UserError:  # asked about before, in `may_leave`
            _log.exception("the last changes were not saved")
            return
        if self.files.is_draft:
            clear_if_empty(project.folder)


def _log_drafts(outcome: object) -> None:
    _log.debug("empty drafts deleted: %s", outcome)


def _unless_gone(
    widget: SeparationWidget, call: Callable[[SeparationWidget, Settings], None]
) -> Callable[[Settings], None]:
    """Return a callback that does not keep the widget: napari's settings outlive it."""
    known = weakref.ref(widget)

    def tell(settings: Settings) -> None:
        widget = known()
        if widget is not None and not widget.session.project.is_closed:
            call(widget, settings)

    return tell


def _shut_down(session: Session, *threads: Background) -> None:
    """Stop what outlives a widget that nobody closed; its changes stay in the journal."""
    for thread in threads:
        thread.close()
    project = session.project
    if project.is_closed:
        return
    session.leave_figure(silently=True)
    try:
        project.leave()
    except UserError:
        _log.exception("the last changes were not saved")
