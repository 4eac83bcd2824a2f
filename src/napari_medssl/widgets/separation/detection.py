"""Find panels on demand: of the figure in front at once, of all figures as a job."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.find_panels import Found
from napari_medssl.backend.jobs import Job, Progress, error_text
from napari_medssl.io.images import ImageRef
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._base import JobPanel, LiveRequests
from napari_medssl.widgets.separation.separate_job import (
    PanelFinder,
    SeparateMany,
    prepare_finder,
)
from napari_medssl.widgets.separation.session import Session


class Detection(QObject):
    """Run the separator off the GUI thread and put what it finds into the project.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: Session, finder: PanelFinder, parent: QWidget) -> None:
        super().__init__(parent)
        self.jobs = JobPanel(parent)
        self._session = session
        self._finder = finder
        self._prepared: Job | None = None
        self._is_closed = False
        self._has_threshold = False
        self._job_lineage: object = None
        self._requests = LiveRequests(self)
        self._requests.ready.connect(self._take_found)
        self._requests.failed.connect(self._refuse)
        self.jobs.progressed.connect(self._on_job_progress)
        self.jobs.done.connect(self._on_job_done)
        session.project_changed.connect(self._on_project)

    def close(self) -> None:
        """Stop all."""
        self._is_closed = True
        if self._prepared is not None:
            self._prepared.cancel()
        self.jobs.cancel()
        self._requests.close()

    def use(self, finder: PanelFinder) -> None:
        """Find panels with another detector from now on; its own threshold comes with it."""
        self._finder = finder
        self._prepared = None
        self._has_threshold = False

    def prepare(self) -> None:
        """Load the detector in the background, once; what is wrong with it is told when asked."""
        if self._prepared is None and not self._is_closed:
            self._prepared = Job(prepare_finder, self._finder, title="Loading the detector")
            self._prepared.start()

    def _on_project(self) -> None:
        self._has_threshold = False
        self._requests.drop()

    def _locate(self, key: str) -> ImageRef:
        project = self._session.project
        return ImageRef(project.path(key), project.info(key).page)

    def _refuse(self, text: str) -> None:
        self.told.emit(text, True)

    def separate_current(self) -> None:
        """Find the panels of the figure in front; a newer request replaces an older one."""
        key = self._session.current
        if key is None:
            self._refuse("No figure is open. Open one from the list first.")
            return
        try:
            ref = self._locate(key)
        except UserError as error:
            self._refuse(error_text(error))
            return
        self.told.emit("Finding panels ...", False)
        self._requests.submit(self._finder.find, key, ref)

    def separate_all(self) -> None:
        """Find the panels of all figures to do without boxes, in a job."""
        project = self._session.project
        self.separate_many(
            key
            for key in self._session.queue.order()
            if project.state(key) == ReviewState.TO_DO and not project.boxes(key)
        )

    def separate_many(self, keys: Iterable[str]) -> None:
        """Find the panels of some figures, in a job; what runs already goes on."""
        if self.jobs.is_busy:
            return
        items, missing = [], ""
        for key in keys:
            try:
                ref = self._locate(key)
            except UserError as error:
                missing = error_text(error)
            else:
                items.append((key, ref.path, ref.page))
        if missing:
            self._refuse(missing)
        if not items:
            self.told.emit("No figure is left to separate.", False)
            return
        self._job_lineage = self._session.lineage
        job = SeparateMany(tuple(items), self._finder)
        self.jobs.start(
            SeparateMany.run, job, title=f"Separating {len(items)} figure{'s' * (len(items) > 1)}"
        )

    def _on_job_progress(self, progress: Progress) -> None:
        found = progress.values.get("found")
        if found is not None and self._session.lineage is self._job_lineage:
            self._take_found(found)

    def _on_job_done(self, failed: list[Found]) -> None:
        if failed:
            more = f" And {len(failed) - 1} more." if len(failed) > 1 else ""
            self._refuse(f"{failed[0].error}{more}")
        else:
            self.told.emit("Done: the panels are found.", False)

    def _take_found(self, found: Found) -> None:
        """Put a detector's boxes into the project; never over those that a person is dragging."""
        project = self._session.project
        if found.error or found.key not in project:
            return
        if not self._has_threshold:
            self._has_threshold = True
            self._session.set_threshold(round(found.threshold, 2))
        store = self._session.store
        if found.key == self._session.current and store is not None and store.is_editing:
            QTimer.singleShot(200, partial(self._take_found, found))
            return
        try:
            self._session.propose(found.key, found.size, found.boxes)
        except UserError as error:
            self._refuse(error_text(error))
            return
        if found.key == self._session.current:
            count = len(self._session.shown_keys())
            self.told.emit(f"{count} panel{'' if count == 1 else 's'} found.", False)
