"""The dock widget "Figure separation": list of figures, boxes as a layer, keys and buttons."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QLabel, QMenu, QSplitter, QToolButton, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Progress, error_text
from napari_medssl.io.images import ImageRef
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._base import JobPanel, LiveRequests
from napari_medssl.widgets._shortcuts import CheatSheet, Shortcut, ShortcutRegistry
from napari_medssl.widgets.separation.actions import BoxActions
from napari_medssl.widgets.separation.closing import CloseGuard, TabKeys
from napari_medssl.widgets.separation.controls import (
    EditControls,
    ReviewControls,
    ScoreFilter,
    push_button,
    row_of,
    tool_button,
)
from napari_medssl.widgets.separation.figure_list import FigureList
from napari_medssl.widgets.separation.gutter_tool import GutterTool
from napari_medssl.widgets.separation.layer_view import BoxLayer
from napari_medssl.widgets.separation.panel_table import PanelTable
from napari_medssl.widgets.separation.project_files import ProjectFiles
from napari_medssl.widgets.separation.separate_job import (
    FigureSeparator,
    Found,
    SeparateMany,
    SeparatorHolder,
    make_separator,
    read_for_display,
    separate_now,
)
from napari_medssl.widgets.separation.session import Session
from napari_medssl.widgets.separation.thumbnails import Thumbnails

IMAGE_NAME = "figure"
_log = logging.getLogger(__name__)


class SeparationWidget(QWidget):
    """Split compound figures into panels and correct the boxes, all day long.

    Parameters
    ----------
    napari_viewer
        The viewer that shows the figures.
    separator_factory
        Makes what finds the panels; called off the GUI thread when first needed.
    drafts
        Folder for projects without a name; by default one in the user's data folder.
    """

    def __init__(
        self,
        napari_viewer: Any,
        separator_factory: Callable[[], FigureSeparator] = make_separator,
        drafts: Path | None = None,
    ) -> None:
        super().__init__()
        from napari_medssl.state.drafts import new_draft

        self._viewer = napari_viewer
        self.session = Session(new_draft(drafts))
        self.files = ProjectFiles(napari_viewer, self.session, self, drafts)
        self.view = BoxLayer(napari_viewer, self.session)
        self.actions_on_boxes = BoxActions(napari_viewer, self.session, self.view)
        self._gutters = GutterTool(napari_viewer, self.session, self.view)
        self._holder = SeparatorHolder(separator_factory)
        self._image_layer: Any = None
        self._wanted: str | None = None
        self._has_threshold = False
        self._reader, self._detector = LiveRequests(self), LiveRequests(self)
        self.thumbnails = Thumbnails(self._locate, self)
        self.keys = ShortcutRegistry()
        self._register_keys()
        self._build()
        self._connect()
        self._guard = CloseGuard(self, self._may_close)
        self._tab_keys = TabKeys(self, self._is_layer_active, self._on_tab)
        self.setAcceptDrops(True)
        self._offer_drafts()

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        self.figures = FigureList(self.session, self.thumbnails, self)
        self.table = PanelTable(self.session, self.actions_on_boxes, self)
        self.jobs = JobPanel(self)
        self.score = ScoreFilter(self.session, self)
        self.edits = EditControls(self.session, self.actions_on_boxes, self)
        self.review = ReviewControls(self, self.session, self)
        self.separate_button = push_button(
            "Separate", "Find the panels of this figure anew (D)", self.separate_current
        )
        self.separate_all_button = push_button(
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
        lists = QSplitter(Qt.Orientation.Vertical)
        lists.addWidget(self.figures)
        lists.addWidget(self.table)
        lists.setStretchFactor(0, 3)
        lists.setStretchFactor(1, 2)
        lists.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addLayout(self._build_header())
        layout.addWidget(lists, 1)
        layout.addLayout(row_of([self.separate_button, self.separate_all_button]))
        for widget in (self.jobs, self.score, self.edits, self.review, self.error, self.status):
            layout.addWidget(widget)
        self.setMinimumWidth(330)

    def _build_header(self) -> Any:
        self.open_menu, self.project_menu = QMenu(self), QMenu(self)
        self.files.fill_open_menu(self.open_menu)
        self.files.fill_project_menu(self.project_menu)
        buttons = []
        for text, tip, menu in (
            ("Open", "Open images, PDFs, a folder, a layer or a project", self.open_menu),
            ("Project", "Save, import and export", self.project_menu),
        ):
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setMenu(menu)
            button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
            buttons.append(button)
        self.title = QLabel()
        self.title.setToolTip("The project that is open")
        row = row_of([*buttons, self.title])
        row.setStretch(2, 1)
        row.addWidget(tool_button("?", "Show all keys (F1)", self.show_keys))
        return row

    def _register_keys(self) -> None:
        for keys, title, action in (
            ("Enter", "Accept the figure and go to the next", self.accept),
            ("N", "Next unchecked figure", self.next),
            ("X", "Reject the figure and go to the next", self.reject),
            ("U", "Mark the figure as unsure and go to the next", self.unsure),
            ("PageDown", "Next figure of the list", partial(self.step, 1)),
            ("PageUp", "Previous figure of the list", partial(self.step, -1)),
            ("D", "Find the panels of this figure", self.separate_current),
            ("F1", "Show these keys", self.show_keys),
        ):
            self.keys.add(Shortcut(keys, title, "Figures", action))
        self.actions_on_boxes.register(self.keys)
        self.keys.add(
            Shortcut("G", "Type a grid such as 4x3", "Boxes", lambda: self.edits.focus_grid())
        )

    def _connect(self) -> None:
        self.figures.chosen.connect(self.open_figure)
        self.files.told.connect(self._tell)
        self.files.added.connect(self._on_added)
        self._reader.ready.connect(self._show_image)
        self._reader.failed.connect(self._refuse)
        self._detector.ready.connect(self._take_found)
        self._detector.failed.connect(self._refuse)
        self.jobs.progressed.connect(self._on_job_progress)
        self.jobs.ended.connect(lambda _: self._show_buttons())
        self.jobs.done.connect(self._on_job_done)
        self.actions_on_boxes.refused.connect(self._refuse)
        self.session.project_changed.connect(self._on_project)
        self.session.current_changed.connect(self._show_buttons)
        self.session.figures_changed.connect(self._show_buttons)
        self._saver = QTimer(self)
        self._saver.setInterval(500)
        self._saver.timeout.connect(self._show_saved)
        self._saver.start()
        # A dock may be destroyed without being closed; self is gone by then.
        self.destroyed.connect(
            partial(_shut_down, self.session, self.files.background, self.thumbnails)
        )
        self._on_project()

    # -- figures ---------------------------------------------------------------------------------

    def _locate(self, key: str) -> tuple[Path, int | None]:
        return self.session.project.path(key), self.session.project.info(key).page

    def open_figure(self, key: str) -> None:
        """Read a figure in a thread and put it in front."""
        try:
            path, page = self._locate(key)
        except UserError as error:
            self._refuse(error_text(error))
            return
        self._wanted = key
        self._reader.submit(read_for_display, key, ImageRef(path, page))

    def _show_image(self, read: dict[str, Any]) -> None:
        key, image = read["key"], read["image"]
        if key != self._wanted or key not in self.session.project:
            return
        self._refuse("")
        self._put_image(image)
        try:
            self.session.show_figure(key, (image.shape[1], image.shape[0]), read["ink"])
        except UserError as error:
            self._refuse(error_text(error))
            return
        layer = self.view.layer
        self._gutters.attach(layer)
        self.keys.bind(layer)
        self._tab_keys.attach(self.window())
        self._viewer.reset_view()

    def _put_image(self, image: Any) -> None:
        if self._image_layer is None or self._image_layer not in self._viewer.layers:
            self._image_layer = self._viewer.add_image(
                image, rgb=True, name=IMAGE_NAME, metadata={"medssl": {"kind": "figure"}}
            )
            index = self._viewer.layers.index(self._image_layer)
            layer = self.view.layer
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.move(index, self._viewer.layers.index(layer))
        else:
            self._image_layer.data = image

    def _on_added(self, keys: tuple[str, ...]) -> None:
        if keys:
            self.open_figure(keys[0])

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
            self._refuse("No figure is open. Open one from the list first.")
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

    # -- separation ------------------------------------------------------------------------------

    def separate_current(self) -> None:
        """Find the panels of the figure in front; a newer request replaces an older one."""
        key = self.session.current
        if key is None:
            self._refuse("No figure is open. Open one from the list first.")
            return
        path, page = self._locate(key)
        self._tell("Finding panels ...", False)
        self._detector.submit(separate_now, self._holder, key, ImageRef(path, page))

    def separate_all(self) -> None:
        """Find the panels of all figures to do without boxes, in a job."""
        project = self.session.project
        keys = [
            key
            for key in self.session.queue.order()
            if project.state(key) == ReviewState.TO_DO and not project.boxes(key)
        ]
        items, missing = [], ""
        for key in keys:
            try:
                items.append((key, *self._locate(key)))
            except UserError as error:
                missing = error_text(error)
        self._refuse(missing)
        if not items:
            self._tell("No figure is left to separate.", False)
            return
        self._job_project = project
        job = SeparateMany(tuple(items), self._holder)
        self.jobs.start(SeparateMany.run, job, title=f"Separating {len(items)} figures")
        self._show_buttons()

    def _on_job_progress(self, progress: Progress) -> None:
        found = progress.values.get("found")
        if found is not None and self.session.project is self._job_project:
            self._take_found(found)

    def _on_job_done(self, failed: list[Found]) -> None:
        if failed:
            more = f" And {len(failed) - 1} more." if len(failed) > 1 else ""
            self._refuse(f"{failed[0].error}{more}")
        self._tell("All figures are separated.", False)

    def _take_found(self, found: Found) -> None:
        """Put a detector's boxes into the project; never over those that a person is dragging."""
        project = self.session.project
        if found.error or found.key not in project:
            return
        if not self._has_threshold:
            self._has_threshold = True
            self.session.set_threshold(round(found.threshold, 2))
        store = self.session.store
        if found.key == self.session.current and store is not None and store.is_editing:
            QTimer.singleShot(200, partial(self._take_found, found))
            return
        try:
            self.session.propose(found.key, found.size, found.boxes)
        except UserError as error:
            self._refuse(error_text(error))
            return
        if found.key == self.session.current:
            count = len(self.session.shown_keys())
            self._tell(f"{count} panel{'' if count == 1 else 's'} found.", False)

    # -- words -----------------------------------------------------------------------------------

    def _tell(self, text: str, is_error: bool) -> None:
        self._refuse(text if is_error else "")
        self._words = "" if is_error else text
        self._show_saved()

    def _refuse(self, text: str) -> None:
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def _show_saved(self) -> None:
        project = self.session.project
        if project.is_closed:
            return
        if project.save_error is not None:
            self._refuse(f"Changes cannot be saved: {project.save_error}. They are kept in memory.")
            return
        saved = "saved" if project.is_saved else "saving ..."
        kind = "Draft" if self.files.is_draft else "Project"
        self.status.setText(" · ".join(part for part in (self._words, f"{kind} {saved}") if part))

    def _on_project(self) -> None:
        self._words = ""
        self._wanted = None
        self._has_threshold = False
        self._reader.drop()
        self._detector.drop()
        name = "New project" if self.files.is_draft else self.session.project.folder.stem
        self.title.setText(f"<b>{name}</b>")
        self._show_buttons()
        self._show_saved()

    def _show_buttons(self, *_: Any) -> None:
        self.separate_button.setEnabled(self.session.current is not None)
        self.separate_all_button.setEnabled(len(self.session.project) > 0 and not self.jobs.is_busy)

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
        left = self.files.left_behind()
        if left:
            menu = self.open_menu.addMenu(f"Drafts ({len(left)})")
            for folder in left[:12]:
                entry = menu.addAction(folder.stem)
                entry.triggered.connect(
                    lambda _checked=False, path=folder: self.files.open_project(path)
                )
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

    def _may_close(self) -> bool:
        if not self.files.may_leave():
            return False
        self.shut_down()
        return True

    def shut_down(self) -> None:
        """Stop all threads and close the project: the window is about to go."""
        self._saver.stop()
        self.jobs.cancel()
        self._reader.close()
        self._detector.close()
        _shut_down(self.session, self.files.background, self.thumbnails)


def _shut_down(session: Session, background: Any, thumbnails: Any, *_: Any) -> None:
    background.close()
    thumbnails.close()
    project = session.project
    if project.is_closed:
        return
    session.leave_figure(silently=True)
    try:
        project.close()
    except UserError:
        _log.exception("the last changes were not saved")
