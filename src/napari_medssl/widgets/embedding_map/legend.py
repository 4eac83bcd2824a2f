"""The legend: the groups that give the colours, how many points each has, which are shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QPoint, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHeaderView,
    QMenu,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_medssl._errors import UserError
from napari_medssl.state.number_colors import NumberColors
from napari_medssl.state.point_group import NONE
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._shortcuts import passed_on
from napari_medssl.widgets.embedding_map.number_scale import NumberScale
from napari_medssl.widgets.embedding_map.session import CLUSTER, SUGGESTED, MapSession

_SIDE = 14


class Legend(QStackedWidget):
    """A table of groups, or a scale where a number gives the colours.

    A tick shows or hides a group, a double click renames it, a click on its square selects its
    points; the menu of the right button merges, splits, colours and deletes.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    split_asked
        Id of the cluster that is to be split.
    """

    told = Signal(str, bool)
    split_asked = Signal(int)

    def __init__(self, session: MapSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._listed: PointGroups | None = None
        self._keys: list[int] = []  # of the groups listed, a row each
        self._marks: dict[str, list[int]] = {}  # ids by what gave the colours
        self.table = _make_table()
        self.scale = NumberScale()
        self.addWidget(self.table)
        self.addWidget(self.scale)
        self.table.cellChanged.connect(self._on_cell)
        self.table.cellClicked.connect(self._on_click)
        self.table.itemSelectionChanged.connect(self._on_marked)
        self.table.customContextMenuRequested.connect(self._open_menu)
        delegate = self.table.itemDelegate()
        assert delegate is not None
        delegate.closeEditor.connect(self._on_typed)
        session.opened.connect(self._on_opened)
        session.colors_changed.connect(self._fill)
        session.selection_changed.connect(self._fill_counts)
        session.names.changed.connect(self._fill)
        self._fill()

    @property
    def groups(self) -> PointGroups | None:
        """The groups that are listed, None where there are none."""
        coloring = self._session.coloring
        return coloring if isinstance(coloring, PointGroups) else None

    def chosen(self) -> list[int]:
        """Return the ids of the groups marked in the table."""
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        groups, keys = self.groups, [self._keys[row] for row in rows if row < len(self._keys)]
        is_listed = groups is not None and groups is self._listed
        return [key for key in keys if key in groups] if is_listed and groups is not None else []

    # -- filling ---------------------------------------------------------------------------------

    def _fill(self) -> None:
        coloring = self._session.coloring
        if isinstance(coloring, NumberColors):
            self.scale.show_range(coloring.low, coloring.high)
            self.setCurrentWidget(self.scale)
            return
        self.setCurrentWidget(self.table)
        if self.table.state() == QTableWidget.State.EditingState:
            return  # a name is being typed
        groups = self.groups
        counts = {} if groups is None else groups.counts()
        marked = self._marks.get(self._session.color_name, [])
        self._keys = [key for key, count in counts.items() if key != NONE or count]
        self._listed = groups
        self.table.blockSignals(True)
        self.table.setRowCount(len(self._keys))
        for row, key in enumerate(self._keys):
            assert groups is not None
            group = groups[key]
            shown = self._title(key)
            name = QTableWidgetItem(shown)
            square = QPixmap(_SIDE, _SIDE)
            square.fill(QColor(*group.color))
            name.setIcon(QIcon(square))
            state = Qt.CheckState.Checked if group.is_shown else Qt.CheckState.Unchecked
            name.setCheckState(state)
            name.setToolTip(f"{shown}: tick to show, double click to rename")
            if key == NONE or shown != group.name:
                name.setFlags(name.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self.table.setItem(row, 0, name)
            self.table.setItem(row, 1, _number(f"{counts[key]:,}"))
        self._mark(marked)
        self.table.blockSignals(False)
        self._fill_counts()

    def _title(self, key: int) -> str:
        """Return the name of a group as it is to be shown; clusters are called by a person."""
        column, groups = self._session.color_name, self._listed
        assert groups is not None
        name = groups[key].name
        if key == NONE or column in (CLUSTER, SUGGESTED):
            return name
        return self._session.names.value(column, name) or f"{column} {key}"

    def _mark(self, keys: list[int]) -> None:
        """Mark groups: rows of the table are of others once a group came or went."""
        found = QItemSelection()
        model, chooser = self.table.model(), self.table.selectionModel()
        assert model is not None
        assert chooser is not None
        for row, key in enumerate(self._keys):
            if key in keys:
                found.select(model.index(row, 0), model.index(row, model.columnCount() - 1))
        chooser.select(found, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _fill_counts(self) -> None:
        """Show how many points of each group are selected, where any are."""
        groups = self.groups
        mask = self._session.selection.mask
        has_some = bool(len(self._session.selection)) and groups is not None
        self.table.setColumnHidden(2, not has_some)
        if not has_some or groups is None:
            return
        if groups is not self._listed:
            return  # a name is being typed, see `_fill`
        size = max(groups.next_id, *self._keys, 0) + 1
        counts = np.bincount(groups.ids[mask], minlength=size)
        self.table.blockSignals(True)
        for row, key in enumerate(self._keys):
            self.table.setItem(row, 2, _number(f"{counts[key]:,}"))
        self.table.blockSignals(False)

    # -- what a person does ----------------------------------------------------------------------

    def _on_opened(self) -> None:
        self._marks.clear()

    def _on_marked(self) -> None:
        self._marks[self._session.color_name] = self.chosen()

    def _on_typed(self, *_: object) -> None:
        """Show what changed while a name was typed, and what became of the name."""
        self._fill()

    def _on_cell(self, row: int, column: int) -> None:
        groups = self.groups
        if column or groups is None or row >= len(self._keys):
            return
        key, item = self._keys[row], self.table.item(row, 0)
        if item is None:
            return
        if groups is not self._listed or key not in groups:
            self.told.emit("The groups changed while the name was typed. Rename again.", True)
            self._fill()
            return
        is_shown = item.checkState() == Qt.CheckState.Checked
        if is_shown != groups[key].is_shown:
            (groups.show if is_shown else groups.hide)([key])
        elif item.text() != self._title(key):
            self._try(partial(groups.rename, key, item.text()))

    def _on_click(self, row: int, column: int) -> None:
        groups = self.groups
        if groups is not None and groups is self._listed and column == 1 and row < len(self._keys):
            self._session.selection.replace(groups.ids == self._keys[row], self)

    def _try(self, edit: Callable[[], object]) -> None:
        try:
            edit()
        except UserError as error:
            self.told.emit(str(error), True)
            self._fill()

    def _open_menu(self, place: QPoint) -> None:
        menu = self.make_menu()
        if menu is not None:
            menu.popup(self.table.viewport().mapToGlobal(place))

    def make_menu(self) -> QMenu | None:
        """Return the menu of the groups that are marked, None where none is."""
        groups, keys = self.groups, self.chosen()
        if groups is None or not keys:
            return None
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_entry(menu, "Select their points", "", partial(self._select, groups, keys))
        add_entry(menu, "Show only these", "", partial(groups.show_only, keys))
        add_entry(menu, "Show all", "", partial(groups.show, list(groups.groups)))
        add_entry(menu, "Colour ...", "", partial(self._recolor, groups, keys[0]))
        if self._session.color_name != CLUSTER or NONE in keys:
            return menu
        menu.addSeparator()
        if len(keys) > 1:
            tip = "Make one cluster of those marked; the first keeps its name"
            add_entry(menu, "Merge", tip, partial(self._try, partial(groups.merge, keys)))
        else:
            tip = "Divide the cluster in two, by k-means of its embeddings"
            add_entry(menu, "Split in two", tip, partial(self.split_asked.emit, keys[0]))
        tip = "Their points are in no cluster then"
        add_entry(menu, "Delete", tip, partial(self._try, partial(groups.delete, keys)))
        return menu

    def _select(self, groups: PointGroups, keys: list[int]) -> None:
        self._session.selection.replace(np.isin(groups.ids, keys), self)

    def _recolor(self, groups: PointGroups, key: int) -> None:
        color = QColorDialog.getColor(QColor(*groups[key].color), self, self._title(key))
        if color.isValid() and key in groups:  # it may have gone while the dialog was open
            groups.recolor(key, (color.red(), color.green(), color.blue()))


class _Rows(QTableWidget):
    """Rows that leave letters and digits to napari; the space bar ticks one, F2 renames it."""

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        is_tick = event is not None and event.key() == Qt.Key.Key_Space
        if is_tick or not passed_on(event):
            super().keyPressEvent(event)


def _make_table() -> QTableWidget:
    table = _Rows(0, 3)
    for column, (head, tip) in enumerate(
        (
            ("Group", "What the colours mean"),
            ("Points", "How many there are; a click selects them"),
            ("Selected", "How many of them are selected"),
        )
    ):
        cell = QTableWidgetItem(head)
        cell.setToolTip(tip)
        table.setHorizontalHeaderItem(column, cell)
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    triggers = QAbstractItemView.EditTrigger  # no other key begins to write over a name
    table.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
    table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setAccessibleName("Legend")
    return table


def _number(text: str) -> QTableWidgetItem:
    cell = QTableWidgetItem(text)
    cell.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return cell
