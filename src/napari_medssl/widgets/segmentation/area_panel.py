"""How large each class of the mask in front is: pixels, mm² where known, part of the image."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_medssl.backend.mask_areas import ClassArea, class_areas
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.segmentation.colors import chip
from napari_medssl.widgets.segmentation.session import MaskSession

_HEADS = ("Class", "Pixels", "mm²", "Of image")
_LATER_MS = 120
_ROWS_SHOWN = 4
_SIDE = 14


class AreaPanel(QTableWidget):
    """A table with a row for each class; a name that is changed is kept with the image.

    Parameters
    ----------
    session
        What it works on.
    parent
        Qt parent.
    """

    def __init__(self, session: MaskSession, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_HEADS), parent)
        self._session = session
        self._numbers: list[int] = []
        self._is_filling = False
        self.background = Background("medssl-areas", self)
        self.setHorizontalHeaderLabels(list(_HEADS))
        self.setToolTip(
            "Area of each class of the mask in front. mm² needs the size of a pixel: Masks > Pixel "
            "size. A double click on a name changes it."
        )
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER_MS)
        self._later.timeout.connect(self._count)
        self.cellChanged.connect(self._on_cell)
        for signal in (session.current_changed, session.set_changed):
            signal.connect(self._count_later)
        for signal in (session.mask_changed, session.item_changed):
            signal.connect(self._on_image)
        self._fill(None, 0, ())

    @property
    def is_waiting(self) -> bool:
        """True while the table is not up to date."""
        return self._later.isActive() or self._is_filling

    def close_down(self) -> None:
        """Stop counting."""
        self._later.stop()
        self.background.close()

    def count_later(self) -> None:
        """Count anew in a moment."""
        self._later.start()

    def _count_later(self) -> None:
        self._later.start()

    def _on_image(self, key: int) -> None:
        if key == self._session.image:
            self._later.start()

    def _count(self) -> None:
        key, folder = self._session.image, self._session.folder
        held = None if folder is None or key is None else folder.held(key)
        item = self._session.item
        if held is None or item is None or not item.has_mask:
            self.background.drop("count")
            self._fill(None, 0, ())
            return
        self._is_filling = True
        work = partial(class_areas, held.copy(), item.spacing_mm, len(item.classes))
        self.background.submit(
            "count", work, partial(self._fill, key, held.size), partial(self._fill, None, 0)
        )

    def _fill(
        self, key: int | None, size: int, areas: tuple[ClassArea, ...] | BaseException
    ) -> None:
        self._is_filling = False
        found = areas if isinstance(areas, tuple) else ()
        item = self._session.item
        if key != self._session.image or item is None:
            found = ()
        self.blockSignals(True)
        self._numbers = [area.number for area in found]
        self.setRowCount(len(found))
        for row, area in enumerate(found):
            assert item is not None
            name = QTableWidgetItem(item.class_name(area.number))
            square = QPixmap(_SIDE, _SIDE)
            square.fill(chip(area.number))
            name.setIcon(QIcon(square))
            self.setItem(row, 0, name)
            mm2 = "" if area.mm2 is None else f"{area.mm2:.4g}"
            cells = (f"{area.pixels:,}", mm2, f"{area.pixels / size:.2%}")
            for column, text in enumerate(cells, start=1):
                cell = QTableWidgetItem(text)
                cell.setFlags(Qt.ItemFlag.ItemIsEnabled)
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, cell)
        self.setColumnHidden(2, not any(area.mm2 is not None for area in found))
        self.blockSignals(False)
        rows = min(_ROWS_SHOWN, max(1, len(found)))
        height = self.rowHeight(0) if found else self.verticalHeader().defaultSectionSize()
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows * height + 4)

    def _on_cell(self, row: int, column: int) -> None:
        if column == 0 and row < len(self._numbers) and self._session.image is not None:
            cell: Any = self.item(row, 0)
            self._session.name_class(self._numbers[row], cell.text())
