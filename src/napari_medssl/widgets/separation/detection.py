"""Find panels on demand: of the figure in front at once, of all figures as a job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.find_panels import Found
from napari_medssl.backend.jobs import Job, Progress, error_text
from napari_medssl.io.boxes import Box
from napari_medssl.io.images import ImageRef
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._live import LiveRequests
from napari_medssl.widgets.separation.separate_job import (
    PanelFinder,
    SeparateMany,
    prepare_finder,
)
from napari_medssl.widgets.separation.session import Session


@dataclass
class _Request:
    """What was asked for, and how the figures were then: what a person did since counts more."""

    lineage: object = None
    before: dict[str, tuple[tuple[Box, ...], ReviewState]] = field(default_factory=dict)
    changed: int = 0


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
        self._lineage: object = session.lineage
        self._of_job, self._of_one = _Request(), _Request()
        self._proposed: dict[str, tuple[Box, ...]] = {}
        self._requests = LiveRequests(self)
        self._requests.ready.connect(self._take_one)
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
        if finder == self._finder:
            return
        self._finder = finder
        self._prepared = None
        self._has_threshold = False

    def prepare(self) -> None:
        """Load the detector in the background, once; what is wrong with it is told when asked."""
        if self._prepared is None and not self._is_closed:
            self._prepared = Job(prepare_finder, self._finder, title="Loading the detector")
            self._prepared.start()

    def _on_project(self) -> None:
        if self._session.lineage is self._lineage:
            return  # the same figures at another place
        self._lineage = self._session.lineage
        self._proposed.clear()
        self._has_threshold = False
        self._requests.drop()

    def _request(self, keys: Iterable[str]) -> _Request:
        project = self._session.project
        before = {key: (project.boxes(key), project.state(key)) for key in keys}
        return _Request(self._session.lineage, before)

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
        self._of_one = self._request([key])
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
            self._refuse("Figures are being separated already. Wait for the end, or cancel it.")
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
        self._of_job = self._request(key for key, _, _ in items)
        job = SeparateMany(tuple(items), self._finder)
        self.jobs.start(
            SeparateMany.run, job, title=f"Separating {len(items)} figure{'s' * (len(items) > 1)}"
        )

    def _on_job_progress(self, progress: Progress) -> None:
        found = progress.values.get("found")
        if found is not None:
            self._take_found(self._of_job, found)

    def _on_job_done(self, failed: list[Found]) -> None:
        if failed:
            more = f" And {len(failed) - 1} more." if len(failed) > 1 else ""
            self._refuse(f"{failed[0].error}{more}")
            return
        changed = self._of_job.changed
        left = f" {changed} that you changed meanwhile were left as they are." if changed else ""
        self.told.emit(f"Done: the panels are found.{left}", False)

    def _take_one(self, found: Found) -> None:
        self._take_found(self._of_one, found)

    def _take_found(self, request: _Request, found: Found) -> None:
        """Put a detector's boxes into the project; never over what a person did meanwhile."""
        project = self._session.project
        is_ours = not self._is_closed and self._session.lineage is request.lineage
        if not is_ours or found.error or found.key not in project:
            return
        store = self._session.store
        if found.key == self._session.current and store is not None and store.is_editing:
            QTimer.singleShot(200, partial(self._take_found, request, found))
            return
        if self._is_changed(request, found.key):
            request.changed += 1
            if found.key == self._session.current:
                self.told.emit(
                    "You changed this figure meanwhile: it is left as it is. D separates it.", False
                )
            return
        self._propose(request, found)

    def _is_changed(self, request: _Request, key: str) -> bool:
        """Whether a person did anything to a figure since the request."""
        boxes, state = request.before[key]
        now = self._session.project.boxes(key)
        is_as_known = now == boxes or now == self._proposed.get(key)
        return not is_as_known or self._session.project.state(key) != state

    def _propose(self, request: _Request, found: Found) -> None:
        if not self._has_threshold:
            self._has_threshold = True
            self._session.set_threshold(round(found.threshold, 2))
        try:
            self._session.propose(found.key, found.size, found.boxes)
        except UserError as error:
            self._refuse(error_text(error))
            return
        self._proposed[found.key] = self._session.project.boxes(found.key)
        # None is in front while "Save as" opens the figure anew.
        in_front = self._session.current
        if in_front == found.key or (in_front is None and request is self._of_one):
            boxes = self._session.project.boxes(found.key)
            count = sum(self._session.is_shown(box) for box in boxes)
            self.told.emit(f"{count} panel{'' if count == 1 else 's'} found.", False)
