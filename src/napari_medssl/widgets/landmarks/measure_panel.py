"""Distances and angles of all images: defined as lines of text, shown and written as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QPlainTextEdit,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medssl._errors import UserError
from napari_medssl.backend.measure_files import (
    check_landmarks,
    read_definitions,
    table_header,
    table_row,
    write_measurements,
)
from napari_medssl.backend.measurements import (
    Measured,
    Measurement,
    measure,
    parse_definitions,
    with_renamed,
)
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.landmarks.session import LandmarkSession

_HINT = "SN = distance S N\nSNA = angle S N A\nFMA = angle Po Or / Go Me\nANB = difference SNA SNB"
_FILL_MS = 80


class MeasurePanel(QWidget):
    """Definitions above, the table of all images below; a click on a row puts its image in front.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: LandmarkSession) -> None:
        super().__init__()
        self._session = session
        self._images: list[int] = []
        self.measurements: tuple[Measurement, ...] = ()
        self.text = QPlainTextEdit()
        self.text.setPlaceholderText(_HINT)
        self.text.setToolTip(
            "One a line: distance A B; distance A / B C (from a line); angle A B C (at B); angle "
            "A B / C D (of two lines); difference M N. Names with spaces stand in quotation marks"
        )
        self.table = QTableWidget(0, 0)
        # Names of measurements are long; cut off, two of them may look alike.
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setResizeContentsPrecision(0)  # by the rows in view: there may be thousands
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.setToolTip("Click a row to put its image in front")
        apply = PushButton("Measure", "Take the definitions over", self.apply)
        load = PushButton("Load ...", "Read definitions from CSV or text", self.ask_load)
        export = PushButton("Export ...", "Write the table as CSV", self.ask_export)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.text)
        parts.addWidget(self.table)
        parts.setSizes([100, 200])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(parts, 1)
        layout.addLayout(row_of([apply, load, export]))
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_FILL_MS)
        self._later.timeout.connect(self.fill)
        self.table.cellClicked.connect(self._on_row)
        session.set_changed.connect(self._on_set)
        session.measurements_changed.connect(self._on_more)
        session.renamed.connect(self._on_renamed)
        session.items_changed.connect(self._fill_later)

    def _on_set(self) -> None:
        folder = self._session.folder
        lines = () if folder is None else folder.measurements
        self.text.setPlainText("\n".join(lines))
        self._take(lines)

    def _on_more(self) -> None:
        """Show what came to the definitions of the set below what is written there."""
        lines = self._session.checked_folder().measurements
        self._write([*self.text.toPlainText().splitlines(), *lines])
        self._take(lines)

    def _on_renamed(self, renames: Mapping[str, str]) -> None:
        """Rename landmarks in what is written, also where it is not taken over yet."""
        lines = self.text.toPlainText().splitlines()
        if (fresh := with_renamed(lines, renames)) != tuple(lines):
            self.text.setPlainText("\n".join(fresh))
        self._take(self._session.checked_folder().measurements)

    def _write(self, lines: Sequence[str]) -> None:
        self.text.setPlainText("\n".join(dict.fromkeys(line for line in lines if line.strip())))

    def _take(self, lines: Sequence[str]) -> None:
        try:
            self.measurements = parse_definitions(lines)
        except UserError as error:
            self.measurements = ()
            self.told.emit(str(error), True)
        self.fill()

    def apply(self) -> None:
        """Take over the definitions as they are written, and keep them with the set."""
        lines = [line.strip() for line in self.text.toPlainText().splitlines() if line.strip()]
        try:
            folder = self._session.checked_folder()
            found = parse_definitions(lines)
            store = folder.store
            if found:
                check_landmarks(found, [store.name(key).name for key in store.names()])
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.measurements = found
        folder.remember(measurements=tuple(lines))
        self.fill()
        self.told.emit("", False)

    def ask_load(self) -> None:
        """Ask for a file of definitions."""
        name, _ = QFileDialog.getOpenFileName(self, "Definitions", "", "Text (*.csv *.txt)")
        if name:
            self.load(Path(name))

    def load(self, path: Path) -> None:
        """Add the definitions of a file to those there."""
        try:
            found = wait_for(partial(read_definitions, path))
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self._write([*self.text.toPlainText().splitlines(), *(each.line for each in found)])
        self.apply()

    def ask_export(self) -> None:
        """Ask for a place and write the table there."""
        name, _ = QFileDialog.getSaveFileName(self, "Export measurements", "measurements.csv")
        if name:
            self.write(Path(name))

    def write(self, path: Path) -> None:
        """Write the table as CSV."""
        if not self.measurements:
            self.told.emit(
                "Nothing is defined yet. Write a line such as 'SN = distance S N'.", True
            )
            return
        rows = [(self._session.store.image(key).name, found) for key, found in self._measured()]
        try:
            wait_for(partial(write_measurements, rows, self.measurements, path))
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(f"Measurements written to {path}.", False)

    # -- table -----------------------------------------------------------------------------------

    def _fill_later(self, *_: object) -> None:
        if self.measurements:
            self._later.start()

    def _measured(self) -> list[tuple[int, dict[str, Measured]]]:
        store = self._session.store
        found = []
        for key in store.images():
            places = {
                store.name(point.name).name: point.place
                for point in store.points_of(key)
                if point.place is not None
            }
            spacing = store.image(key).spacing_mm
            found.append((key, measure(self.measurements, places, spacing)))
        return found

    def fill(self) -> None:
        """Measure all images anew and show it."""
        rows = self._measured() if self.measurements else []
        has_mm = any(value.mm is not None for _, found in rows for value in found.values())
        header = table_header(self.measurements, has_mm=has_mm) if rows else []
        self._images = [key for key, _ in rows]
        self.table.setRowCount(len(rows))
        self.table.setColumnCount(len(header))
        self.table.setHorizontalHeaderLabels(header)
        for row, (key, found) in enumerate(rows):
            cells = table_row(self.measurements, found, has_mm=has_mm)
            self._set(row, 0, self._session.store.image(key).name)
            for column, value in enumerate(cells, start=1):
                self._set(row, column, "" if value is None else f"{value:.2f}")

    def _set(self, row: int, column: int, text: str) -> None:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.table.setItem(row, column, item)
        item.setText(text)

    def _on_row(self, row: int, _column: int) -> None:
        if row < len(self._images):
            self._session.choose(self._images[row])

    def close_down(self) -> Any:
        """Stop the timer."""
        self._later.stop()
