"""The context menu of the list: what can be done to the figures marked there."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QPoint, Qt, Signal
from qtpy.QtWidgets import QMenu, QMessageBox

from napari_medssl._errors import UserError
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets.separation.detection import Detection
from napari_medssl.widgets.separation.figure_list import FigureList
from napari_medssl.widgets.separation.session import Session


class FigureMenu(QObject):
    """Separate, mark or take off the list the figures that are marked in it.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: Session, figures: FigureList, detection: Detection) -> None:
        super().__init__(figures)
        self._session = session
        self._figures = figures
        self._detection = detection
        figures.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        figures.view.customContextMenuRequested.connect(self._show)

    def _show(self, at: QPoint) -> None:
        menu = self.make(self._figures.selected_keys())
        if menu is not None:
            menu.exec(self._figures.view.viewport().mapToGlobal(at))

    def make(self, keys: list[str]) -> QMenu | None:
        """Return the menu for some figures, None for none."""
        if not keys:
            return None
        menu = QMenu(self._figures)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        what = "this figure" if len(keys) == 1 else f"{len(keys)} figures"
        entry = add_entry(
            menu,
            f"Separate {what} anew",
            "Find the panels again, also where there are boxes; can be undone in each figure",
            partial(self._detection.separate_many, keys),
        )
        entry.setEnabled(not self._detection.jobs.is_busy)
        menu.addSeparator()
        for state in ReviewState:
            add_entry(
                menu,
                f"Mark as {state.value}",
                f"Set the state of {what}",
                partial(self._session.set_states, keys, state),
            )
        menu.addSeparator()
        add_entry(
            menu,
            f"Take {what} off the list",
            "The image files stay; the boxes are kept in the project's folder 'removed'",
            partial(self.remove, keys),
        )
        return menu

    def remove(self, keys: list[str]) -> None:
        """Take figures off the list, after a question if there is work in them."""
        project = self._session.project
        worked = [key for key in keys if project.has_work_in(key)]
        if worked and not self._may_remove(len(worked)):
            return
        try:
            project.remove(keys)
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(f"{len(keys)} figure{'s' * (len(keys) > 1)} taken off the list.", False)

    def _may_remove(self, count: int) -> bool:
        parent: Any = self._figures
        answer = QMessageBox.question(
            parent,
            "Take off the list?",
            f"{count} of these figures hold your work. Take them off the list? Their boxes are "
            "kept in the project's folder 'removed'.",
        )
        return bool(answer == QMessageBox.StandardButton.Yes)
