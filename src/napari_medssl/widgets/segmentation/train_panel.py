"""The page "Train": a model of one's own from the images of the set, in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Job, Progress
from napari_medssl.backend.training_workspace import (
    Unfinished,
    Workspace,
    throw_away,
    unfinished,
    workspace_of,
)
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._curve import LossCurve
from napari_medssl.widgets._messages import wrapped
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.train_questions import (
    PAUSE,
    may_discard,
    may_replace,
    stopped_words,
)
from napari_medssl.widgets.segmentation.trainer import (
    Trainer,
    TrainingJob,
    TrainReport,
    run_training,
)
from napari_medssl.widgets.segmentation.training_preview import TrainingPreview


class TrainPanel(QWidget):
    """Trains a model with one of some trainers; stopped ones go on, also after a restart.

    Parameters
    ----------
    session
        Whose images are learnt from.
    trainers
        What there is to choose from.
    models
        Folder of the models, by default the user's.
    work
        Runs a training, called off the GUI thread.

    Signals
    -------
    trained
        File of a model that is finished, and whether the images are to be segmented by it now.
    told
        A line for the person; the second argument is True for an error.
    """

    trained = Signal(str, bool)
    told = Signal(str, bool)

    def __init__(
        self,
        session: MaskSession,
        trainers: Sequence[Trainer],
        parent: QWidget | None = None,
        models: Path | None = None,
        work: Callable[..., TrainReport] = run_training,
    ) -> None:
        super().__init__(parent)
        self._session, self._trainers = session, {one.key: one for one in trainers}
        self._models, self._work = models, work
        self._running: TrainingJob | None = None
        self._folder: MaskFolder | None = None  # the set that it learns from
        self._keeps = False  # what it has learnt when it has stopped
        self._stopped: Unfinished | None = None
        self._drawn: Workspace | None = None  # whose curve is shown
        self._build()
        self.jobs.progressed.connect(self._on_progress)
        self.jobs.done.connect(self._on_done)
        self.jobs.ended.connect(self._on_ended)
        for signal in (session.set_changed, session.list_changed):
            signal.connect(self._show)
        self.look_for_stopped()

    def _build(self) -> None:
        self.kinds = QComboBox()
        self.kinds.setToolTip("What the model learns from")
        self.about = wrapped("What this way of training needs and does")
        self.about.setEnabled(False)
        self.name = QLineEdit("my-model")
        self.name.setToolTip("Name of the model; it is kept with your models, see medssl models")
        self.train_button = PushButton(
            "Train", "Learn from all images of the set, in the background", self.train
        )
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Model", self.name)
        self.fields = QWidget()
        inner = QVBoxLayout(self.fields)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(5)
        inner.addWidget(self.kinds)
        inner.addWidget(self.about)
        for key, one in self._trainers.items():
            self.kinds.addItem(one.title, key)
            inner.addWidget(one)
        self.kinds.currentIndexChanged.connect(self._on_kind)
        inner.addLayout(rows)
        inner.addWidget(self.train_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(5)
        column.addWidget(self.fields)
        self.stopped = wrapped("A training that was stopped; its checkpoint is kept")
        self.go_on_button = PushButton("Go on", "Train on from where it was stopped", self.go_on)
        self.discard_button = PushButton("Discard", "Delete what it has learnt", self.discard)
        self.keep_button = PushButton(
            "Use as it is", "Make a model of what it has learnt so far", self.keep
        )
        column.addWidget(self.stopped)
        column.addLayout(row_of([self.go_on_button, self.keep_button, self.discard_button]))
        self.jobs = JobPanel(self, stops=PAUSE)
        self.stop_button = PushButton(
            "Stop and keep",
            "Stop now, and use the model as it is; Pause leaves it to go on later",
            self.stop_and_keep,
        )
        self.curve = LossCurve()
        self.preview = TrainingPreview()
        self.words = wrapped("How the training goes, and what became of it")
        for part in (self.jobs, self.stop_button, self.curve, self.preview, self.words):
            column.addWidget(part)
        column.addStretch(1)
        self.curve.hide()
        self._on_kind()

    @property
    def trainer(self) -> Trainer:
        """The trainer that is chosen."""
        return self._trainers[str(self.kinds.currentData())]

    # -- what buttons do -------------------------------------------------------------------------

    def train(self) -> None:
        """Begin a training with the images of the set."""
        try:
            self._session.checked_image()
            workspace = workspace_of(self.name.text().strip(), self._models)
            sources = tuple(item.source for item in self._session.store.as_dict().values())
            job = self.trainer.job(workspace, sources)
            if not may_replace(self, job):
                return
        except UserError as error:
            self.jobs.show_error(str(error))
            return
        self._start(job)

    def go_on(self) -> None:
        """Go on with the training that was stopped."""
        if self._stopped is not None:
            self._take_up(self._stopped, self._trainers[self._stopped.trainer].continued)

    def keep(self) -> None:
        """Make a model of the training that was stopped, as it is."""
        if self._stopped is not None:
            self._take_up(self._stopped, self._trainers[self._stopped.trainer].kept)

    def stop_and_keep(self) -> None:
        """Stop the training that runs, and make a model of it as it is."""
        if self._running is not None and self.jobs.is_busy:
            self._keeps = True
            self.stop_button.setEnabled(False)
            self.jobs.cancel()

    def discard(self) -> None:
        """Delete the training that was stopped, after a question."""
        stopped = self._stopped
        if stopped is None:
            return
        try:
            if may_discard(self, stopped):
                wait_for(partial(throw_away, stopped.workspace))
                self._forget(stopped.workspace)
        except UserError as error:
            self.jobs.show_error(str(error))
        self.look_for_stopped()

    def look_for_stopped(self) -> None:
        """Show the first training that was stopped, if there is one."""
        found = [one for one in unfinished(self._models) if one.trainer in self._trainers]
        self._stopped = found[0] if found else None
        if self._stopped is not None:
            self.stopped.setText(stopped_words(self._stopped))
        self._show()

    def close_jobs(self) -> None:
        """Stop the training: the window is about to go. A checkpoint stays."""
        self.jobs.cancel()

    # -- inside ----------------------------------------------------------------------------------

    def _take_up(self, stopped: Unfinished, job_of: Callable[[Unfinished], Any]) -> None:
        try:
            job = job_of(stopped)
        except UserError as error:
            self.jobs.show_error(str(error))
            return
        self.kinds.setCurrentIndex(self.kinds.findData(stopped.trainer))
        if job is not None:
            self._start(job)

    def _start(self, job: TrainingJob) -> None:
        self._running, self._folder, self._keeps = job, self._session.folder, False
        if not job.goes_on or job.workspace != self._drawn:
            self.curve.begin(self._trainers[job.trainer].curves)
        self._drawn = job.workspace
        self.curve.setVisible(self.curve.has_points)
        self.preview.forget()
        self.words.setText("You can go on working; the training runs in a process of its own.")
        self.jobs.start(self._work, job, title=f"Training {job.workspace.name}")
        self._show()

    def _forget(self, workspace: Workspace) -> None:
        """Show nothing any more of what a training that is deleted had learnt."""
        self.words.setText("")
        if workspace == self._drawn:
            self._drawn = None
            self.curve.begin({})
            self.curve.hide()
            self.preview.forget()

    def _on_kind(self, *_: object) -> None:
        for one in self._trainers.values():
            one.setVisible(one is self.trainer)
        self.about.setText(self.trainer.about)

    def _on_progress(self, progress: Progress) -> None:
        if not progress.values or self._running is None:
            return
        self.curve.add(progress.done, progress.total or progress.done, progress.values)
        self.curve.show()
        if "preview" in progress.values:
            self.preview.look(self._running.workspace.preview)
        words = self._trainers[self._running.trainer].words(progress.values)
        if words:
            self.words.setText(words)

    def _on_done(self, report: TrainReport) -> None:
        job = self._running
        assert job is not None  # it has just ended
        # Of another set, nobody asked for masks.
        is_same = self._folder is not None and self._folder is self._session.folder
        segments = self._trainers[job.trainer].segments_after and is_same
        then = "" if segments else " Press Segment all."
        remarks = [one for one in report.remarks if " --" not in one]  # a window has no options
        lines = [f"{job.workspace.name} is trained and chosen.{then}", *remarks]
        self.words.setText("\n".join(lines))
        self.trained.emit(str(job.workspace.out), segments)

    def _on_ended(self, job: Job) -> None:
        if job.state == "cancelled":
            self.words.setText("Stopped before its first step: there is nothing to go on with.")
        elif job.state == "failed":  # the error line says why: nothing runs
            self.words.setText("")
        former, self._running = self._running, None
        self.look_for_stopped()
        keeps, self._keeps = self._keeps, False
        if former is None or job.state != "cancelled":
            return
        for stopped in unfinished(self._models):  # none of it if it took no step
            if stopped.workspace == former.workspace:
                self.words.setText("Paused.")
                if keeps:
                    self._stopped = stopped
                    self.keep()

    def _show(self, *_: Any) -> None:
        is_busy = self.jobs.is_busy
        self.train_button.setEnabled(bool(len(self._session.store)) and not is_busy)
        self.fields.setVisible(not is_busy)  # the room is for the curve then
        has_stopped = self._stopped is not None and not is_busy
        for button in (self.stopped, self.go_on_button, self.discard_button):
            button.setVisible(has_stopped)
        self.stop_button.setVisible(is_busy and self._can_keep(self._running))
        self.stop_button.setEnabled(not self._keeps)
        self.keep_button.setVisible(has_stopped and self._can_keep(self._stopped))

    def _can_keep(self, one: TrainingJob | Unfinished | None) -> bool:
        return one is not None and self._trainers[one.trainer].can_keep
