"""The landmarks of the list with what is known of them in the image in front."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QPoint, QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHeaderView,
    QInputDialog,
    QMenu,
    QTableWidget,
    QTableWidgetItem,
)

from napari_medssl._errors import UserError
from napari_medssl.state.landmark_items import Point
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._shortcuts import passed_on
from napari_medssl.widgets.landmarks.session import LandmarkSession

_COLUMNS = ("Landmark", "State", "Score", "Way back")
_TIPS = (
    "Double-click to rename; right-click for more",
    "undefined, found, confirmed, absent or locked",
    "How sure the program is, 0 to 1",
    "By how many pixels of the template the way back misses: more is worse",
)


class PointTable(QTableWidget):
    """A row for each landmark; its row is the landmark in front.

    Signals
    -------
    refused
        Why something cannot be done; empty where it was.
    removing
        A person wants the landmark with this id off the list.
    """

    refused = Signal(str)
    removing = Signal(int)

    def __init__(self, session: LandmarkSession, parent: Any = None) -> None:
        super().__init__(0, len(_COLUMNS), parent)
        self._session = session
        self._keys: list[int] = []
        self.setHorizontalHeaderLabels(_COLUMNS)
        for column, tip in enumerate(_TIPS):
            self.horizontalHeaderItem(column).setToolTip(tip)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setMinimumHeight(90)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(30)
        self._later.timeout.connect(self.fill)
        for signal in (
            session.items_changed,
            session.current_changed,
            session.set_changed,
            session.offers_changed,
        ):
            signal.connect(self._fill_later)
        self.currentCellChanged.connect(self._on_row)
        self.itemChanged.connect(self._on_item)
        self.customContextMenuRequested.connect(self._on_menu)
        self.fill()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Leave letters and digits to napari and our commands."""
        if not passed_on(event):
            super().keyPressEvent(event)

    def _fill_later(self, *_: object) -> None:
        self._later.start()

    def fill(self) -> None:
        """Show what is known now."""
        session, store = self._session, self._session.store
        with QSignalBlocker(self):
            self._keys = list(store.names())
            self.setRowCount(len(self._keys))
            for row, key in enumerate(self._keys):
                item = store.name(key)
                point = None if session.image is None else store.point(session.image, key)
                for column, text in enumerate(self._cells(item.name, point)):
                    self._set_cell(row, column, text)
                cell = self.item(row, 0)
                cell.setData(Qt.ItemDataRole.DecorationRole, QColor(*item.color))
                cell.setToolTip(item.description)
            if session.name in self._keys:
                row = self._keys.index(session.name)
                if row != self.currentRow():
                    self.setCurrentCell(row, 0)

    def _cells(self, name: str, point: Point | None) -> tuple[str, ...]:
        if point is None:
            return name, "", "", ""
        state = point.state
        if point.is_template:
            state_text = f"{state}, template"
        elif point.is_picked and state == "found":
            state_text = "found, picked"
        elif state == "absent" and point.score is not None:
            state_text = "absent?"
        else:
            state_text = state
        cycle = self._session.cycle_of((point.image, point.name))
        score = "" if point.score is None else f"{point.score:.2f}"
        return name, state_text, score, "" if cycle is None else f"{cycle:.1f} px"

    def _set_cell(self, row: int, column: int, text: str) -> None:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            if column:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self.setItem(row, column, item)
        if item.text() != text:
            item.setText(text)

    def _on_row(self, row: int, *_: int) -> None:
        if 0 <= row < len(self._keys):
            self._session.choose(name=self._keys[row])

    def _on_item(self, item: QTableWidgetItem) -> None:
        if item.column() == 0 and item.row() < len(self._keys):
            key, text = self._keys[item.row()], item.text()
            self._do(lambda: self._session.store.rename(key, text))

    def _do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except UserError as error:
            self.refused.emit(str(error))
        else:
            self.refused.emit("")
        self.fill()

    def _on_menu(self, at: QPoint) -> None:
        row = self.rowAt(at.y())
        if 0 <= row < len(self._keys):
            self.menu_of(self._keys[row]).popup(self.viewport().mapToGlobal(at))

    def menu_of(self, key: int) -> QMenu:
        """Return what can be done with a landmark of the list."""
        store, menu = self._session.store, QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_entry(menu, "Colour ...", "Choose another colour", partial(self._ask_color, key))
        add_entry(menu, "Describe ...", "Say what it is", partial(self._ask_words, key))
        menu.addSeparator()
        up, down = (partial(self._do, partial(store.move_name, key, by)) for by in (-1, 1))
        add_entry(menu, "Up", "Place it earlier", up)
        add_entry(menu, "Down", "Place it later", down)
        menu.addSeparator()
        add_entry(menu, "Remove ...", "Take it off the list", partial(self.removing.emit, key))
        return menu

    def _ask_color(self, key: int) -> None:
        item = self._session.store.name(key)
        chosen = QColorDialog.getColor(QColor(*item.color), self, f"Colour of {item.name}")
        if chosen.isValid():
            color = chosen.red(), chosen.green(), chosen.blue()
            self._do(lambda: self._session.store.recolor(key, color))

    def _ask_words(self, key: int) -> None:
        item = self._session.store.name(key)
        words, is_given = QInputDialog.getText(
            self, "Describe the landmark", item.name, text=item.description
        )
        if is_given:
            self._do(lambda: self._session.store.describe(key, words.strip()))
