"""The classes of the mask in front, how large each is, its objects, and which the brush paints."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemDelegate,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_medssl.backend.mask_areas import ClassArea, MaskAreas, class_areas
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._shortcuts import passed_on
from napari_medssl.widgets.segmentation.class_icon import class_icon
from napari_medssl.widgets.segmentation.colors import class_color
from napari_medssl.widgets.segmentation.session import MaskSession

_HEADS = {
    "Class": "A click lets the brush paint it, a double click changes its name",
    "Pixels": "Pixels of this class in the image in front",
    "mm²": "Area; needs the size of a pixel: Masks > Pixel size",
    "Of image": "Part of all pixels of the image, a black rim included",
    "Of view": "Part of the field of view that it covers: what the camera shows, without its rim",
    "Objects": "How many there are: pixels of the class that touch, also at a corner only",
}
_PIXELS, _MM2, _OF_IMAGE = 1, 2, 3
_LEAST_NAME = 96  # width that the name of a class has before columns are left out
_WHOLE = 1000  # mm² from which parts of one are not told
_LATER_MS = 120
_ROWS_SHOWN = 4


class AreaPanel(QTableWidget):
    """A table with a row for each class of the image in front.

    Parameters
    ----------
    session
        What it works on.
    parent
        Qt parent.

    Signals
    -------
    chosen
        A person clicked the class of this number.
    named
        A person called a class by another name: number and name.
    listed
        Classes are listed anew.
    """

    chosen = Signal(int)
    named = Signal(int, str)
    listed = Signal()

    def __init__(self, session: MaskSession, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_HEADS), parent)
        self._session = session
        self._numbers: list[int] = []
        self._marked = 0
        self._has_mm2 = False
        self._counted: tuple[int, MaskAreas] | None = None
        self._is_counting = False
        self.background = Background("medssl-areas", self)
        for column, (head, tip) in enumerate(_HEADS.items()):
            cell = QTableWidgetItem(head)
            cell.setToolTip(tip)
            self.setHorizontalHeaderItem(column, cell)
        self.setToolTip("Classes and their areas in the mask in front")
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        triggers = QTableWidget.EditTrigger
        self.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
        self.setWordWrap(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER_MS)
        self._later.timeout.connect(self._count)
        self.cellChanged.connect(self._on_cell)
        self.cellClicked.connect(self._on_click)
        for signal in (session.current_changed, session.set_changed):
            signal.connect(self._count_later)
        session.classes_changed.connect(self._fill)
        for signal in (session.mask_changed, session.item_changed):
            signal.connect(self._on_image)
        self._fill()

    @property
    def is_waiting(self) -> bool:
        """True while the table is not up to date."""
        return self._later.isActive() or self._is_counting

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the classes that are listed."""
        return tuple(self._numbers)

    @property
    def marked(self) -> int:
        """Number of the class that is marked, 0 for none."""
        return self._marked if self._marked in self._numbers else 0

    def close_down(self) -> None:
        """Stop counting."""
        self._later.stop()
        self.background.close()

    def count_later(self) -> None:
        """Count anew in a moment."""
        self._later.start()

    def mark(self, number: int) -> None:
        """Show which class the brush paints."""
        self._marked = number
        if number in self._numbers:
            self.selectRow(self._numbers.index(number))
        else:
            self.clearSelection()

    def take_name(self) -> None:
        """Take the name that is being typed for done; what is marked stays so."""
        self.setCurrentCell(-1, -1)
        self.mark(self._marked)

    def rename(self, number: int) -> None:
        """Let a person type another name of a class."""
        if number in self._numbers:
            self.editItem(self.item(self._numbers.index(number), 0))

    # -- counting --------------------------------------------------------------------------------

    def _count_later(self) -> None:
        self._later.start()

    def _on_image(self, key: int) -> None:
        if key == self._session.image:
            self._later.start()

    def _count(self) -> None:
        key, folder = self._session.image, self._session.folder
        held = None if folder is None or key is None else folder.held(key)
        item = self._session.item
        if held is None or key is None or item is None or not item.has_mask:
            self.background.drop("count")
            self._is_counting, self._counted = False, None
            self._fill()
            return
        self._is_counting = True
        # Not a copy: who paints meanwhile lets it be counted again.
        work = partial(class_areas, held, item.spacing_mm, view=self._session.views.get(key))
        self.background.submit("count", work, partial(self._on_counted, key), self._on_failed)

    def _on_counted(self, key: int, areas: MaskAreas) -> None:
        self._is_counting, self._counted = False, (key, areas)
        self._fill()

    def _on_failed(self, _error: BaseException) -> None:
        self._is_counting, self._counted = False, None
        self._fill()

    # -- the table -------------------------------------------------------------------------------

    def closeEditor(self, editor: Any, hint: QAbstractItemDelegate.EndEditHint) -> None:
        """See Qt; what came while a name was typed is shown now."""
        super().closeEditor(editor, hint)
        self._later.start()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """See Qt; letters and digits go to napari's tools and to our commands."""
        if not passed_on(event):
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show as many columns as there is room for."""
        super().resizeEvent(event)
        self._fit_columns()

    def _fit_columns(self) -> None:
        """Leave out what the tooltip tells too, where the names of classes would have no room."""
        header = self.horizontalHeader()
        for column in range(1, len(_HEADS)):
            self.setColumnHidden(column, column == _MM2 and not self._has_mm2)
        widths = {
            column: max(self.sizeHintForColumn(column), header.sectionSizeHint(column))
            for column in range(1, len(_HEADS))
            if not self.isColumnHidden(column)
        }
        for column in (_OF_IMAGE, _PIXELS) if self._has_mm2 else (_OF_IMAGE,):
            if self.viewport().width() - sum(widths.values()) >= _LEAST_NAME:
                break
            self.setColumnHidden(column, True)
            del widths[column]

    def _fill(self) -> None:
        if self.state() == QTableWidget.State.EditingState:
            return  # a name is being typed
        key = self._session.image
        counted = self._counted[1] if self._counted and self._counted[0] == key else None
        areas = {} if counted is None else {area.number: area for area in counted.classes}
        names = {} if key is None else self._session.class_names(key)
        own = self._session.class_colors()
        has_mm2 = self._has_mm2 = any(area.mm2 is not None for area in areas.values())
        self.blockSignals(True)
        self._numbers = sorted({*names, *areas})
        self.setRowCount(len(self._numbers))
        for row, number in enumerate(self._numbers):
            name = QTableWidgetItem(names.get(number, f"class {number}"))
            name.setIcon(class_icon(own.get(number, class_color(number))))
            number_tip = f"{name.text()}: number {number} in the files of masks"
            tip = _figures_tip(areas.get(number))
            name.setToolTip("\n".join(part for part in (number_tip, tip) if part))
            self.setItem(row, 0, name)
            for column, text in enumerate(_cells(areas.get(number), counted, has_mm2), start=1):
                cell = QTableWidgetItem(text)
                cell.setToolTip(tip)
                cell.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, cell)
        self._fit_columns()
        self.blockSignals(False)
        self.mark(self._marked)
        rows = min(_ROWS_SHOWN, max(1, len(self._numbers)))
        height = self.rowHeight(0) if self._numbers else self.verticalHeader().defaultSectionSize()
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows * height + 4)
        self.listed.emit()

    def _on_click(self, row: int, _column: int) -> None:
        if row < len(self._numbers):
            self._marked = self._numbers[row]
            self.chosen.emit(self._marked)

    def _on_cell(self, row: int, column: int) -> None:
        if column == 0 and row < len(self._numbers) and self._session.image is not None:
            cell: Any = self.item(row, 0)
            self.named.emit(self._numbers[row], cell.text())


def mm2_text(value: float) -> str:
    """Return an area as people write it: four digits, and never a power of ten for a large one."""
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.4g}"


def _cells(
    area: ClassArea | None, counted: MaskAreas | None, has_mm2: bool
) -> tuple[str, str, str, str, str]:
    """Return what stands beside the name of a class."""
    if counted is None:
        return "", "", "", "", ""
    if area is None:
        return "0", "0" * has_mm2, "0%", "" if counted.view_pixels is None else "0%", "0"
    mm2 = "" if area.mm2 is None else mm2_text(area.mm2)
    view = "" if area.part_of_view is None else f"{area.part_of_view:.2%}"
    return f"{area.pixels:,}", mm2, f"{area.part_of_image:.2%}", view, f"{area.objects:,}"


def _figures_tip(area: ClassArea | None) -> str:
    """Return all figures of a class in words, "" for none."""
    if area is None:
        return ""
    words = f"{area.pixels:,} pixels, {area.part_of_image:.2%} of the image"
    if area.object_mean is None or area.object_median is None:
        return words
    sizes = [
        f"{name} {pixels:,.1f} px" + ("" if mm2 is None else f" ({mm2_text(mm2)} mm²)")
        for name, pixels, mm2 in (
            ("mean", area.object_mean, area.in_mm2(area.object_mean)),
            ("median", area.object_median, area.in_mm2(area.object_median)),
        )
    ]
    objects = f"{area.objects:,} object{'s' * (area.objects != 1)}"
    return f"{words}\n{objects}: {', '.join(sizes)}"
