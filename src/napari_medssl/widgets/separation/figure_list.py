"""The list of figures: search, state filter, order, thumbnails, progress and time left."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex, Signal
from qtpy.QtWidgets import QLabel, QProgressBar

from napari_medssl.backend.jobs import duration_text
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._item_list import ROW_HEIGHT, ItemList, RowDelegate, narrow_choice
from napari_medssl.widgets._item_model import KEY_ROLE
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.separation.figure_model import FigureFilter, FigureModel
from napari_medssl.widgets.separation.session import Session

STATE_COLORS = {
    ReviewState.TO_DO.value: "#8a8f98",
    ReviewState.DONE.value: "#2f9e5b",
    ReviewState.UNSURE.value: "#d9822b",
    ReviewState.REJECTED.value: "#c0485a",
}
_HINT = (
    "No figures yet.\n\nDrop images, PDFs or a folder here,\nor use Open.\n\n"
    "An image layer that is selected in napari\nis taken by Separate."
)


class FigureList(ItemList):
    """Search field, filters, list and progress.

    Signals
    -------
    chosen
        The key of the figure that a person clicked or went to with the arrows.
    """

    chosen = Signal(str)
    model: FigureModel

    def __init__(self, session: Session, thumbnails: Thumbnails, parent: Any = None) -> None:
        model = FigureModel(session, thumbnails)
        states = [("All states", None), *((s.value.capitalize(), s) for s in ReviewState)]
        shown = FigureFilter(model, session)
        super().__init__(model, shown, RowDelegate(STATE_COLORS), states, _HINT, parent)
        self._session = session
        self.view.setMinimumHeight(ROW_HEIGHT + 4)
        self.view.setToolTip("Figures of the project; click one to open it")
        self.view.selectionModel().currentChanged.connect(self._on_current)
        self.states.setToolTip("Show only figures in this state")
        self.order = narrow_choice([("Uncertain first", True), ("File order", False)])
        self.order.setToolTip(
            "Order of the list: first where a look is expected to mend most, or as added"
        )
        self.order.currentIndexChanged.connect(self._on_order)
        self.choices.addWidget(self.order, 1)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setToolTip("How many figures are done or rejected")
        self.progress = QLabel()
        self.progress.setToolTip("Progress, and the time left at your pace of the last figures")
        self.column.addWidget(self.bar)
        self.column.addWidget(self.progress)
        for signal in (session.figure_changed, session.figures_changed, session.project_changed):
            signal.connect(self.count_later)
        session.current_changed.connect(self._show_current)
        self.model.layoutChanged.connect(self._show_current)
        self.count_anew()

    def _on_order(self, _index: int) -> None:
        self.model.set_by_benefit(self.order.currentData())

    def neighbour(self, step: int) -> str | None:
        """Return the figure that many rows below the current one in the list as shown."""
        row = self.view.currentIndex().row() + step
        if not 0 <= row < self.filter.rowCount():
            return None
        return str(self.filter.index(row, 0).data(KEY_ROLE))

    def _on_current(self, current: QModelIndex, _previous: QModelIndex) -> None:
        key = current.data(KEY_ROLE) if current.isValid() else None
        if key is not None and key != self._session.current:
            self.chosen.emit(key)

    def _show_current(self) -> None:
        if self._session.current is not None:
            self.mark(self._session.current)

    def count_anew(self) -> None:
        """Show progress and the time left."""
        progress = self._session.queue.progress()
        self.bar.setRange(0, max(1, progress.total))
        self.bar.setValue(progress.done + progress.rejected)
        parts = [f"{progress.done + progress.rejected} of {progress.total} checked"]
        if progress.unsure:
            parts.append(f"{progress.unsure} unsure")
        if progress.eta_s is not None and progress.left:
            parts.append(f"about {duration_text(progress.eta_s)} left")
        self.progress.setText(" · ".join(parts) if progress.total else "")
        self.hint.setVisible(progress.total == 0)
