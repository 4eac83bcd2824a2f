"""The classes over the whole set: mean and standard deviation of area, and how many objects."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import (
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.backend.mask_areas import MeasuredMask, measure_mask
from napari_medssl.backend.mask_summary import ClassSummary, summarize
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.segmentation.area_panel import mm2_text
from napari_medssl.widgets.segmentation.class_icon import class_icon
from napari_medssl.widgets.segmentation.colors import class_color
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_masks import to_measure

_HEADS = {
    "Class": "Masks that call a number by another name are apart",
    "Mean": "Mean area; an image without a pixel of the class counts as 0",
    "SD": "Standard deviation of the area (of a sample)",
    "n": "Images with a mask that may have the class",
    "Objects": "Objects of all images together: pixels that touch, also at a corner only",
}
_LATER_MS = 150
_ROWS_SHOWN = 4


class SetPanel(QWidget):
    """A table with a row for each class of the set; measures while it is shown.

    One mask after the other is measured in a thread, and again only when it has changed.

    Parameters
    ----------
    session
        What it works on.
    parent
        Qt parent.
    """

    def __init__(self, session: MaskSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._measured: dict[int, MeasuredMask | None] = {}
        self._running: int | None = None
        self.background = Background("medssl-set-areas", self)
        self.table = QTableWidget(0, len(_HEADS))
        for column, (head, tip) in enumerate(_HEADS.items()):
            cell = QTableWidgetItem(head)
            cell.setToolTip(tip)
            self.table.setHorizontalHeaderItem(column, cell)
        self.table.setToolTip("Classes over all masks of the set")
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setWordWrap(False)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setEnabled(False)
        self.words.setToolTip("How many images the table is of")
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(0, 0, 0, 0)
        column_layout.setSpacing(3)
        column_layout.addWidget(self.table)
        column_layout.addWidget(self.words)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER_MS)
        self._later.timeout.connect(self._on_later)
        for signal in (session.set_changed, session.classes_changed):
            signal.connect(self._forget_all)
        session.list_changed.connect(self._begin_later)
        for signal in (session.mask_changed, session.item_changed):
            signal.connect(self._forget)

    @property
    def is_waiting(self) -> bool:
        """True while the table is not up to date; it is brought up to date only when shown."""
        return self._later.isActive() or self._running is not None

    def close_down(self) -> None:
        """Stop measuring."""
        self._later.stop()
        self.background.close()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Measure what has changed since it was last shown."""
        super().showEvent(event)
        self._begin_later()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Measure no more."""
        super().hideEvent(event)
        self._later.stop()
        self.background.drop("measure")
        self._running = None

    # -- measuring -------------------------------------------------------------------------------

    def _forget_all(self) -> None:
        self._measured.clear()
        self.background.drop("measure")
        self._running = None
        self._begin_later()

    def _forget(self, key: int) -> None:
        self._measured.pop(key, None)
        if self._running == key:  # what is measured now is not what it has become
            self.background.drop("measure")
            self._running = None
        self._begin_later()

    def _begin_later(self) -> None:
        if self.isVisible() and not self._later.isActive():
            self._later.start()

    def _on_later(self) -> None:
        self._fill()
        self._measure_next()

    def _measure_next(self) -> None:
        if self._running is not None or not self.isVisible():
            return
        folder = self._session.folder
        if folder is None or folder.is_closed:
            return
        items = self._session.store.as_dict()
        due = (key for key, item in items.items() if item.has_mask and key not in self._measured)
        key = next(due, None)
        if key is None:
            return
        self._running = key
        work = partial(measure_mask, to_measure(self._session, key, with_view=False))
        self.background.submit(
            "measure", work, partial(self._on_measured, key), partial(self._on_failed, key)
        )

    def _on_measured(self, key: int, found: tuple[MeasuredMask, str]) -> None:
        self._take(key, found[0])

    def _on_failed(self, key: int, _error: BaseException) -> None:
        self._take(key, None)

    def _take(self, key: int, found: MeasuredMask | None) -> None:
        self._running = None
        self._measured[key] = found
        self._begin_later()  # shows it, a few times a second
        self._measure_next()

    # -- the table -------------------------------------------------------------------------------

    def _fill(self) -> None:
        items = self._session.store.as_dict()
        masked = [key for key, item in items.items() if item.has_mask]
        found = [self._measured.get(key) for key in masked]
        classes = summarize(one for one in found if one is not None)
        has_mm2 = bool(classes) and all(one.mm2.count == one.pixels.count for one in classes)
        colors = self._session.class_colors()
        self.table.horizontalHeaderItem(1).setText("Mean mm²" if has_mm2 else "Mean px")
        self.table.setRowCount(len(classes))
        for row, one in enumerate(classes):
            name = QTableWidgetItem(one.name)
            name.setIcon(class_icon(colors.get(one.number, class_color(one.number))))
            self.table.setItem(row, 0, name)
            tip = _tip(one)
            for column, text in enumerate(_cells(one, has_mm2), start=1):
                cell = QTableWidgetItem(text)
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, cell)
            for column in range(len(_HEADS)):
                self.table.item(row, column).setToolTip(tip)
        rows = min(_ROWS_SHOWN, max(1, len(classes)))
        default = self.table.verticalHeader().defaultSectionSize()
        height = self.table.rowHeight(0) if classes else default
        head = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(head + rows * height + 4)
        self._say(len(items), masked)

    def _say(self, total: int, masked: list[int]) -> None:
        done = sum(key in self._measured for key in masked)
        failed = sum(self._measured.get(key, 0) is None for key in masked)
        if done < len(masked):
            words = f"{done} of {len(masked)} masks measured ..."
        else:
            words = f"Over {done - failed} mask{'s' * (done - failed != 1)}"
            lacking = total - len(masked)
            words += f"; {lacking} of {total} images have none" if lacking else ""
            words += f"; {failed} cannot be read" if failed else ""
            words += "."
        self.words.setText(words)


def _cells(one: ClassSummary, has_mm2: bool) -> tuple[str, str, str, str]:
    """Return what stands beside the name of a class."""
    area = one.mm2 if has_mm2 else one.pixels
    mean, sd = ("" if value is None else mm2_text(value) for value in (area.mean, area.sd))
    if not has_mm2 and one.pixels.mean is not None:
        mean = f"{one.pixels.mean:,.0f}"
        sd = "" if one.pixels.sd is None else f"{one.pixels.sd:,.0f}"
    return mean, sd, str(one.pixels.count), f"{one.object_count:,}"


def _tip(one: ClassSummary) -> str:
    """Return the further figures of a class."""
    part = "" if one.part.mean is None else f"{one.part.mean:.2%} of the image on average. "
    size = "" if one.object_mean is None else f" of {one.object_mean:,.1f} pixels on average"
    objects = "" if one.objects.mean is None else f", {one.objects.mean:.4g} in an image"
    return (
        f"{one.name}: in {one.present} of {one.pixels.count} images. {part}"
        f"{one.object_count:,} object{'s' * (one.object_count != 1)}{size}{objects}."
    )
