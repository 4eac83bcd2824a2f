"""The group "Improve from my corrections": train on accepted figures, compare, use or revert."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import OnProgress, ShouldStop, error_text
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._buttons import PushButton
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.separation.detector_panel import SHIPPED

if TYPE_CHECKING:
    from napari_medssl.backend.improve_check import ImproveReport
    from napari_medssl.backend.improve_config import ImproveConfig
    from napari_medssl.widgets.separation.session import Session

_FLUSH_S = 2.0
_ANY_HEIGHT = 16_777_215  # Qt's QWIDGETSIZE_MAX, which no binding offers
_HEADS = ("F1", "before", "after")


def improve_in_child(
    config: ImproveConfig, *, on_progress: OnProgress, should_stop: ShouldStop
) -> ImproveReport:
    """Run `improve` in a process of its own, from where it was stopped if it was."""
    from napari_medssl.backend.improve import can_resume, improve
    from napari_medssl.backend.training import run_in_child

    config = replace(config, resume=can_resume(config))
    report: ImproveReport = run_in_child(
        improve, config, on_progress=on_progress, should_stop=should_stop
    )
    return report


class ImprovePanel(QGroupBox):
    """Fine-tune the detector on the accepted figures of the project, in the background.

    Parameters
    ----------
    session
        What the widget works on.
    work
        What makes the improved model, called off the GUI thread with an `ImproveConfig`.

    Signals
    -------
    model_changed
        The model that the project uses from now on, "" for the shipped one; also when another
        project is opened.
    """

    model_changed = Signal(str)

    def __init__(
        self,
        session: Session,
        parent: QWidget | None = None,
        work: Callable[..., ImproveReport] = improve_in_child,
    ) -> None:
        super().__init__("Improve from my corrections", parent)
        self._session, self._work = session, work
        self._report: ImproveReport | None = None
        self._project: Any = None
        self._lineage: object = session.lineage
        self._learns_from: object = None
        self._build()
        for signal in (session.figures_changed, session.figure_changed):
            signal.connect(self._show)
        session.project_changed.connect(self._on_project)
        self.jobs.done.connect(self._take_report)
        self.jobs.ended.connect(self._show)
        self._on_project()

    def _build(self) -> None:
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setToolTip("What can be learnt from, and the model that finds the panels now")
        self.improve_button = PushButton(
            "Improve",
            "Train the detector further on the figures that you accepted, mixed with simulated "
            "ones. Takes minutes and runs in the background; the present model stays as it is.",
            self.improve,
        )
        self.jobs = JobPanel(self)
        self.table = QTableWidget(2, len(_HEADS))
        self.table.setHorizontalHeaderLabels(list(_HEADS))
        self.table.setToolTip(
            "Share of panels found right (F1 at IoU 0.5) with the former model and the new one"
        )
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.advice = QLabel()
        self.advice.setWordWrap(True)
        self.advice.setToolTip("Whether the new model is better, and how that was found out")
        self.use_button = PushButton(
            "Use the improved model",
            "Find panels in this project with the new model from now on",
            self.use,
        )
        self.revert_button = PushButton(
            "Revert", "Find panels with the model used before; none is deleted", self.revert
        )
        choice = QHBoxLayout()
        choice.addWidget(self.use_button, 1)
        choice.addWidget(self.revert_button)
        inner = QVBoxLayout(self)
        inner.setContentsMargins(6, 4, 6, 4)
        inner.setSpacing(4)
        for widget in (self.about, self.improve_button, self.jobs, self.table, self.advice):
            inner.addWidget(widget)
        inner.addLayout(choice)

    # -- what buttons do -------------------------------------------------------------------------

    def improve(self) -> None:
        """Start the training."""
        from napari_medssl.backend.improve_config import ImproveConfig

        project = self._session.project
        if not wait_for(partial(project.flush, _FLUSH_S)):
            self.jobs.show_error("Your last changes are not on disk yet. Try again in a moment.")
            return
        self._report, self._learns_from = None, self._session.lineage
        chosen = read_settings()
        config = ImproveConfig(
            project=project.folder, device=chosen.device, batch=chosen.batch_size
        )
        self.jobs.start(self._work, config, title="Improving")
        self._show()

    def use(self) -> None:
        """Let the project use the new model."""
        if self._report is not None:
            self.choose(self._report.model)

    def choose(self, name_or_file: str) -> None:
        """Let the project use a model from now on; nothing happens if it does already."""
        project = self._session.project
        if (name_or_file or SHIPPED) != (project.model or SHIPPED):
            project.use_model(name_or_file)

    def revert(self) -> None:
        """Let the project use the model that it used before."""
        try:
            self._session.project.revert_model()
        except UserError as error:
            self.jobs.show_error(error_text(error))

    def close_jobs(self) -> None:
        """Stop the training: the window is about to go. A checkpoint stays."""
        self.jobs.cancel()

    # -- what is shown ---------------------------------------------------------------------------

    def _on_project(self) -> None:
        """Another project is open: what is learnt from the former one is of no use here.

        A copy under another name has the same figures: the training goes on and its end counts.
        """
        if self._session.lineage is not self._lineage:
            self._lineage = self._session.lineage
            self.jobs.cancel()
            self._report = None
        if self._project is not None:
            self._project.model_changed.disconnect(self._on_model)
        self._project = self._session.project
        self._project.model_changed.connect(self._on_model)
        self._on_model(self._project.model)

    def _on_model(self, model: str) -> None:
        self.model_changed.emit(model)
        self._show()

    def _take_report(self, report: ImproveReport) -> None:
        if self._session.lineage is self._learns_from:
            self._report = report

    def _show(self, *_: Any) -> None:
        project = self._session.project
        keys = project.keys()
        accepted = sum(project.state(key) == ReviewState.DONE for key in keys)
        count = f"{accepted} accepted figure{'' if accepted == 1 else 's'}"
        self.about.setText(f"{count} · model: {project.model or SHIPPED}")
        self.improve_button.setEnabled(accepted > 0 and not self.jobs.is_busy)
        report = self._report
        for widget in (self.table, self.advice):
            widget.setVisible(report is not None)
        self.use_button.setEnabled(report is not None and project.model != report.model)
        self.revert_button.setEnabled(bool(project.models))
        if report is not None:
            self._show_report(report)
        self._claim_room()

    def _claim_room(self) -> None:
        """Let a collapsible group around this grow: it was measured when it was opened."""
        outer = self.parentWidget()
        while outer is not None and not isinstance(outer, QCollapsible):
            outer = outer.parentWidget()
        if outer is not None and outer.isExpanded():
            outer.content().setMaximumHeight(_ANY_HEIGHT)

    def _show_report(self, report: ImproveReport) -> None:
        kind = "held out" if report.held_out else "seen in training"
        for row, (scores, name) in enumerate(
            ((report.at_hand, f"{report.at_hand.figures} of yours, {kind}"),
             (report.simulated, f"{report.simulated.figures} simulated"))
        ):  # fmt: skip
            cells = (name, f"{scores.before_50:.3f}", f"{scores.after_50:.3f}")
            for column, text in enumerate(cells):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()
        header = self.table.horizontalHeader().height()
        rows = sum(self.table.rowHeight(row) for row in range(2))
        self.table.setFixedHeight(header + rows + 4)
        names = "\n".join(
            f"Check {number}: {', '.join(part)}"
            for number, part in enumerate(report.held_out, start=1)
        )
        lost = "".join(f"\n{name}: not used, {reason}" for name, reason in report.skipped)
        self.advice.setText(report.advice)
        self.advice.setToolTip(f"Held out to compare.\n{names}{lost}" if names else lost.strip())
