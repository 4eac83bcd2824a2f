"""Filters: keep the points within a range of a number, one column beside the other."""

from __future__ import annotations

from functools import partial

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_medssl.widgets._buttons import PushButton, ToolButton, row_of
from napari_medssl.widgets.embedding_map.range_filter import RangeFilter
from napari_medssl.widgets.embedding_map.session import MapSession

_HINT = "Add a column of numbers to keep only the points within a range of it."


class FilterPanel(QWidget):
    """A histogram for each column that a person adds; what none of them keeps is not shown."""

    def __init__(self, session: MapSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.filters: dict[str, RangeFilter] = {}
        self._rows: dict[str, QWidget] = {}
        self.choice = QComboBox()
        self.choice.setToolTip("Columns of numbers")
        self.choice.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.add_button = PushButton("Add filter", "Show the histogram of this column", self._add)
        self.hint = QLabel(_HINT)
        self.hint.setWordWrap(True)
        self.hint.setEnabled(False)
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.hint)
        self._column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        row = row_of([self.choice, self.add_button])
        row.setStretch(0, 1)
        layout.addLayout(row)
        layout.addWidget(area, 1)
        session.opened.connect(self._on_opened)
        session.colored.connect(self._fill)
        session.shown_changed.connect(self._show_counts)
        self._fill()

    def add(self, name: str) -> RangeFilter:
        """Show the histogram of a column; return it."""
        if name in self.filters:
            return self.filters[name]
        made = RangeFilter()
        made.set_values(self._session.numbers(name))
        made.set_shown(self._session.shown)
        made.changed.connect(partial(self._on_changed, name))
        head = row_of([QLabel(name), ToolButton("✕", "Take it away", partial(self.remove, name))])
        head.setStretch(0, 1)
        both = QWidget()
        column = QVBoxLayout(both)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(made)
        self.filters[name], self._rows[name] = made, both
        self._column.insertWidget(self._column.count() - 1, both)
        self.hint.setVisible(False)
        return made

    def remove(self, name: str) -> None:
        """Take a filter away: it keeps all."""
        if name not in self.filters:
            return
        del self.filters[name]
        gone = self._rows.pop(name)
        self._column.removeWidget(gone)
        gone.hide()  # it lives until Qt finds the time
        gone.deleteLater()
        self.hint.setVisible(not self.filters)
        self._session.filter(name, None)

    def _add(self) -> None:
        if self.choice.currentText():
            self.add(self.choice.currentText())

    def _on_opened(self) -> None:
        for name in list(self.filters):
            self.remove(name)

    def _fill(self) -> None:
        former = self.choice.currentText()
        names = self._session.number_columns()
        self.choice.clear()
        self.choice.addItems(names)
        self.choice.setCurrentText(former if former in names else (names or ("",))[0])
        self.add_button.setEnabled(bool(names))
        for name, made in list(self.filters.items()):
            if name not in names:
                self.remove(name)
            elif not _is_same(made.values, self._session.numbers(name)):
                kept = made.kept  # numbers were measured or read anew; the range stays
                made.set_values(self._session.numbers(name))
                made.keep(kept)

    def _on_changed(self, name: str) -> None:
        self._session.filter(name, self.filters[name].mask())

    def _show_counts(self) -> None:
        for made in self.filters.values():
            made.set_shown(self._session.shown)


def _is_same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(one.shape == other.shape and np.array_equal(one, other, equal_nan=True))
