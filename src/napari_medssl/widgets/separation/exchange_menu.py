"""Boxes from and to the files of other tools: the second half of the Project menu."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, error_text
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets.separation.session import Session

_AT_A_TIME = 20
_ANNOTATIONS = "Annotations (*.json *.xml *.txt *.yaml *.yml);;All files (*)"


class Exchange(QObject):
    """Import and export, off the GUI thread; `jobs` shows how far an export is.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    imported
        Boxes came into the project.
    """

    told = Signal(str, bool)
    imported = Signal()

    def __init__(self, session: Session, parent: QWidget, background: Background) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self._background = background
        self.jobs = JobPanel(parent)
        self.jobs.done.connect(self._on_done)
        self.jobs.failed.connect(self._on_failed)

    def fill_menu(self, menu: QMenu) -> None:
        """Add the actions to the Project menu."""
        add_entry(menu, "Import boxes ...", "Read a COCO, VOC or labelme file", self.ask_import)
        add_entry(menu, "Import folder of boxes ...", "Read YOLO or VOC", self.ask_import_folder)
        menu.addSeparator()
        for what, words in (("accepted", [ReviewState.DONE]), ("all", list(ReviewState))):
            sub = menu.addMenu(f"Export {what} figures")
            sub.setToolTipsVisible(True)
            for title, kind in (
                ("COCO ...", "coco"),
                ("YOLO ...", "yolo"),
                ("Pascal VOC ...", "voc"),
            ):
                tip = "Write the boxes to a file" if kind == "coco" else "Write to a folder"
                add_entry(sub, title, tip, partial(self.ask_export, kind, words))
            add_entry(
                sub,
                "Cropped panels ...",
                "Write each panel as a PNG file",
                partial(self.ask_export, "crops", words),
            )

    def ask_import(self) -> None:
        """Ask for an annotation file and read it."""
        name, _ = QFileDialog.getOpenFileName(self._parent, "Import boxes", "", _ANNOTATIONS)
        if name:
            self.import_boxes(Path(name))

    def ask_import_folder(self) -> None:
        """Ask for a folder of annotation files and read them."""
        name = QFileDialog.getExistingDirectory(self._parent, "Import a folder of boxes")
        if name:
            self.import_boxes(Path(name))

    def import_boxes(self, path: Path) -> None:
        """Read annotations in a thread and put their boxes into the project."""
        from napari_medssl.io.annotations import read_boxes

        self._background.submit("import", partial(read_boxes, path), self._take_boxes, self._fail)

    def _take_boxes(self, found: Any) -> None:
        self._take_some(found, self._session.project, 0, 0, [])

    def _take_some(
        self, found: Any, project: Project, start: int, count: int, lines: list[str]
    ) -> None:
        """Take in some figures, then let the window live before the next ones."""
        from napari_medssl.state.exchange import import_boxes

        if project is not self._session.project:
            return
        stop = start + _AT_A_TIME
        part = replace(found, images=found.images[start:stop])
        if start:
            part = replace(part, failures=(), skipped=())
        more, told = import_boxes(project, part)
        count, lines = count + more, [*lines, *told]
        if stop < len(found.images):
            QTimer.singleShot(0, partial(self._take_some, found, project, stop, count, lines))
            return
        text = f"Boxes of {count} figures imported."
        if lines:
            others = f" And {len(lines) - 1} more." if len(lines) > 1 else ""
            text += f" {lines[0]}{others}"
        self.told.emit(text, bool(lines))
        self.imported.emit()

    def ask_export(self, kind: str, states: list[ReviewState]) -> None:
        """Ask for a place and write boxes or crops there."""
        if kind == "coco":
            name, _ = QFileDialog.getSaveFileName(
                self._parent, "Export COCO", "panels.coco.json", "COCO (*.json)"
            )
        else:
            name = QFileDialog.getExistingDirectory(self._parent, f"Export {kind} to a folder")
        if name:
            self.export(kind, states, Path(name))

    def export(self, kind: str, states: list[ReviewState], path: Path) -> None:
        """Write the boxes that the score filter shows, or their crops, in a thread."""
        from napari_medssl.state.exchange import export_boxes, export_crops, to_export

        figures = to_export(self._session.project, states, self._session.threshold)
        if self.jobs.is_busy:
            self.told.emit("An export still runs. Wait for its end, or cancel it.", True)
            return

        def work(_: None, *, on_progress: OnProgress, should_stop: ShouldStop) -> str:
            def on_figure(done: int) -> None:
                on_progress(Progress(done, len(figures), "Writing panels"))
                if should_stop():
                    raise Cancelled

            if kind == "crops":
                count, lines = export_crops(figures, path, on_figure=on_figure)
                return " ".join([f"{count} panels written to {path}.", *lines[:1]])
            lost = export_boxes(figures, path, kind)
            return " ".join([f"{len(figures)} figures written to {path}.", *lost[:1]])

        self.jobs.start(work, None, title="Exporting")

    def _on_done(self, text: str) -> None:
        self.told.emit(text, False)

    def _on_failed(self, text: str) -> None:
        self.jobs.show_error("")  # one place for errors is enough
        self.told.emit(text, True)

    def _fail(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)
