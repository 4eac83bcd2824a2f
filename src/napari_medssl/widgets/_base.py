"""Where threads meet Qt: a panel that runs jobs.

The GUI thread looks at its job 20 times a second; the job's thread never touches Qt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import (
    Eta,
    Job,
    Progress,
    duration_text,
    error_text,
)
from napari_medssl.widgets._form import ConfigForm
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets._messages import ERROR_COLOR

_LOOK_EVERY_MS = 50
_MOST_STEPS = 2**31 - 1


class JobPanel(QWidget):
    """A progress bar with words and ETA, a cancel button and an error line, for one job at a time.

    Parameters
    ----------
    parent
        Qt parent.
    shown
        Changes words before they are shown, such as to hide names.
    has_error_line
        Show the error of a job that failed; else whoever listens to `failed` does.
    stops
        What the button that stops it says, and its tooltip.

    Signals
    -------
    progressed
        Every `Progress` of the job, in order.
    done
        The result of a job that went well.
    failed
        The error's text.
    ended
        The `Job`, however it ended; `state` says how.
    refused
        The text of an error line that has come into sight.
    """

    progressed = Signal(object)
    done = Signal(object)
    failed = Signal(str)
    ended = Signal(object)
    refused = Signal(str)

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        shown: Callable[[str], str] = str,
        has_error_line: bool = True,
        stops: tuple[str, str] = ("Cancel", "Stop the running job at its next step"),
    ) -> None:
        super().__init__(parent)
        self._shown = shown
        self._has_error_line = has_error_line
        self._job: Job | None = None
        self._eta = Eta()
        self._bar = QProgressBar()
        self._bar.setToolTip("Progress of the running job")
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._cancel = QPushButton(stops[0])
        self._cancel.setToolTip(stops[1])
        self._cancel.clicked.connect(self.cancel)
        self._error = QLabel()
        self._error.setObjectName("error")
        self._error.setWordWrap(True)
        self._error.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._error.setStyleSheet(f"color: {ERROR_COLOR};")
        row = QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self._words)
        layout.addWidget(self._error)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_EVERY_MS)
        self._timer.timeout.connect(self._look)
        self._started: list[Job] = []
        # A dock widget may be destroyed without being closed; self is gone by then, the list not.
        when_gone(self, _cancel_all, self._started)
        self._show_idle()

    @property
    def job(self) -> Job | None:
        """The job that runs or ran last."""
        return self._job

    @property
    def is_busy(self) -> bool:
        """Whether a job runs."""
        return self._job is not None and self._timer.isActive()

    def start(self, work: Callable[..., Any], config: Any, *, title: str) -> Job:
        """Run `work(config, on_progress=, should_stop=)` in a thread; return its job.

        Raises
        ------
        RuntimeError
            If a job runs already: the caller disables its button while `is_busy`.
        """
        if self.is_busy:
            raise RuntimeError(f"{self._job.title!r} still runs." if self._job else "busy")
        self.show_error("")
        self._eta = Eta()
        self._job = Job(work, config, title=title)
        self._started[:] = [self._job]
        self._bar.setRange(0, 0)
        self._words.setText(self._shown(title))
        for widget in (self._bar, self._cancel, self._words):
            widget.show()
        self._cancel.setEnabled(True)
        self._job.start()
        self._timer.start()
        return self._job

    def cancel(self) -> None:
        """Ask the running job to stop."""
        if self._job is not None and self.is_busy:
            self._job.cancel()
            self._cancel.setEnabled(False)
            self._words.setText("Stopping ...")

    def show_error(self, text: str) -> None:
        """Show an error line; an empty text removes it."""
        self._error.setText(self._shown(text))
        self._error.setVisible(bool(text))
        if text:
            self.refused.emit(text)

    def closeEvent(self, event: Any) -> None:
        """Stop the job: nobody would see its result."""
        self.cancel()
        super().closeEvent(event)

    def _show_idle(self) -> None:
        for widget in (self._bar, self._cancel, self._words):
            widget.hide()
        self._error.setVisible(bool(self._error.text()))

    def _look(self) -> None:
        job = self._job
        if job is None:
            return
        has_ended = job.has_ended  # before the reports are taken, or the last ones could be missed
        fresh = job.take_progress()
        for progress in fresh:
            self.progressed.emit(progress)
        if fresh and not has_ended:
            self._show_progress(fresh[-1], job)
        if has_ended:
            self._end(job)

    def _show_progress(self, progress: Progress, job: Job) -> None:
        total = progress.total or 0
        # Qt counts in 32 bits: larger counts are shown in thousandths.
        factor = 1 if total <= _MOST_STEPS else total / 1000
        self._bar.setRange(0, int(total / factor))
        self._bar.setValue(int(progress.done / factor))
        left = self._eta.left_s(progress)
        parts = [progress.message or job.title]
        if left is not None:
            parts.append(f"{duration_text(left)} left")
        if not job.is_stopping:
            self._words.setText(self._shown(", ".join(parts)))

    def _end(self, job: Job) -> None:
        self._timer.stop()
        self._started.clear()
        self._show_idle()
        if job.state == "failed":
            if self._has_error_line:
                self.show_error(job.error)
            self.failed.emit(job.error)
        elif job.state == "done":
            self.done.emit(job.result)
        self.ended.emit(job)


def _cancel_all(jobs: list[Job]) -> None:
    for job in jobs:
        job.cancel()


class JobWidget(QWidget):
    """A form, a run button and a job panel: what a verb needs. Subclasses say what and show it.

    A subclass sets `config_class`, `work` and `run_title`, and overrides `show_result`; `prepare`
    turns the form's config into what `work` takes (an image read from a layer, for example).
    """

    config_class: type[Any]
    run_title = "Run"
    skip: tuple[str, ...] = ()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.form: ConfigForm[Any] = ConfigForm(self.config_class, skip=self.skip)
        self.run_button = QPushButton(self.run_title)
        self.run_button.setToolTip((self.config_class.__doc__ or self.run_title).split("\n")[0])
        self.run_button.clicked.connect(self.run)
        self.panel = JobPanel()
        self.panel.done.connect(self.show_result)
        self.panel.ended.connect(self._on_ended)
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addWidget(self.run_button)
        layout.addWidget(self.panel)
        layout.addStretch(1)

    def work(self, config: Any, *, on_progress: Any, should_stop: Any) -> Any:
        """Do the job, in its thread."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it runs.")

    def prepare(self, config: Any) -> Any:
        """Return what `work` gets, in the GUI thread; raise UserError for what is missing."""
        return config

    def show_result(self, result: Any) -> None:
        """Show the result, in the GUI thread."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it shows.")

    def run(self) -> None:
        """Start the job with the form's config; what is missing goes to the error line."""
        try:
            config = self.prepare(self.form.config())
        except UserError as error:
            self.panel.show_error(error_text(error))
            return
        self.run_button.setEnabled(False)
        self.panel.start(self.work, config, title=self.run_title)

    def _on_ended(self, _: Job) -> None:
        self.run_button.setEnabled(True)

    def closeEvent(self, event: Any) -> None:
        """Stop the job when the widget is closed."""
        self.panel.cancel()
        super().closeEvent(event)
