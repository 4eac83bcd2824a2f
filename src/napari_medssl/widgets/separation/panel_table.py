"""The boxes of the figure in front as a table: letter, score, size; the letters are edited here."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QItemSelectionModel, Qt, QTimer
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_medssl.io.boxes import Box
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.layout_edit import reading_order
from napari_medssl.widgets.separation.actions import BoxActions
from napari_medssl.widgets.separation.session import Session

_COLUMNS = ("Letter", "Score", "Size", "Place")


class PanelTable(QTableWidget):
    """A row per box shown, in reading order; its selection is that of the session."""

    def __init__(self, session: Session, actions: BoxActions, parent: Any = None) -> None:
        super().__init__(0, len(_COLUMNS), parent)
        self._session = session
        self._actions = actions
        self._store: BoxStore | None = None
        self._keys: list[int] = []
        self._is_filling = False
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setToolTip("Panels in reading order; double-click a letter to change it")
        self.setMinimumHeight(70)
        # A drag changes a box many times a second: the table follows when there is time.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(30)
        self._later.timeout.connect(self.fill)
        session.current_changed.connect(self._on_current)
        session.threshold_changed.connect(self._schedule)
        session.selection.changed.connect(self._on_selection)
        self.itemSelectionChanged.connect(self._on_rows)
        self.itemChanged.connect(self._on_item)

    def _schedule(self, *_: Any) -> None:
        self._later.start()

    def _on_current(self) -> None:
        if self._store is not None:
            self._store.changed.disconnect(self._schedule)
        self._store = self._session.store
        if self._store is not None:
            self._store.changed.connect(self._schedule)
        self.fill()

    def fill(self) -> None:
        """Show the boxes as they are now."""
        store = self._store
        self._is_filling = True
        shown = {} if store is None else {key: store[key] for key in self._session.shown_keys()}
        self._keys = reading_order(shown)
        self.setRowCount(len(self._keys))
        for row, key in enumerate(self._keys):
            for column, text in enumerate(_cells(shown[key])):
                self._set_cell(row, column, text)
        self._is_filling = False
        self._show_selection()

    def _set_cell(self, row: int, column: int, text: str) -> None:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            if column:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self.setItem(row, column, item)
        item.setText(text)

    def _on_item(self, item: QTableWidgetItem) -> None:
        if not self._is_filling and item.column() == 0 and item.row() < len(self._keys):
            key, text = self._keys[item.row()], item.text()
            self._actions.do(partial(self._actions.set_letter, key, text))

    def _on_rows(self) -> None:
        if not self._is_filling:
            rows = {index.row() for index in self.selectionModel().selectedRows()}
            keys = [key for row, key in enumerate(self._keys) if row in rows]
            self._session.selection.replace(keys, self)

    def _on_selection(self, _items: frozenset[Any], source: object) -> None:
        if source is not self:
            self._show_selection()

    def _show_selection(self) -> None:
        self._is_filling = True
        flags = QItemSelectionModel.SelectionFlag
        self.clearSelection()
        for row, key in enumerate(self._keys):
            if key in self._session.selection:
                self.selectionModel().select(self.model().index(row, 0), flags.Select | flags.Rows)
        self._is_filling = False


def _cells(box: Box) -> tuple[str, str, str, str]:
    score = "checked" if box.score is None else f"{box.score:.2f}"
    return (
        box.label,
        score,
        f"{box.width:.0f} × {box.height:.0f}",
        f"{box.x0:.0f}, {box.y0:.0f}",
    )
