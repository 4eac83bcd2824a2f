"""The table of how many tiles of each slide are like the examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_medssl.backend.concept_counts import SlideCount

_COLUMNS = ("Slide", "Similar", "of tiles", "mm²")


class CountsTable(QTableWidget):
    """One row a slide; grey while what it shows holds no more."""

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setToolTip("Tiles and area of each slide that are at least so similar")

    def fill(self, counts: Sequence[SlideCount], title: Callable[[str], str]) -> None:
        """Show counts; `title` gives the name to show of a slide by its fingerprint."""
        self.setEnabled(True)
        self.setRowCount(len(counts))
        for row, one in enumerate(counts):
            area = "" if one.area_mm2 is None else f"{one.area_mm2:.3g}"
            values = (title(one.slide), str(one.count), str(one.tiles), area)
            for column, text in enumerate(values):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(row, column, item)
