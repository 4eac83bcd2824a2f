"""The list of slides: search, filter, rows with thumbnails, and a word where there are none."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex, QRect, Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QLabel, QStyleOptionViewItem

from napari_medssl.state.slide_entry import SlideState
from napari_medssl.widgets._item_list import PAD, ROW_HEIGHT, ItemList, RowDelegate
from napari_medssl.widgets._item_model import DETAIL_ROLE, KEY_ROLE, STATE_ROLE
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.slides.library_model import (
    PROBLEM_ROLE,
    PROBLEMS,
    READABLE_ROLE,
    SIZE_ROLE,
    LibraryFilter,
    LibraryModel,
)
from napari_medssl.widgets.slides.session import SlidesSession

STATE_COLORS = {
    SlideState.LINKED.value: "#6b7280",
    SlideState.CONVERTED.value: "#2f7fb8",
    SlideState.INDEXED.value: "#2f9e5b",
}
_PROBLEM, _NOTE = "#e5484d", "#d9822b"
_HINT = (
    "No slides yet.\n\nDrop slides or a folder here,\nor use Open.\n\n"
    "Slides are linked, never copied or changed."
)


class SlideDelegate(RowDelegate):
    """Paint a row: thumbnail, name, resolution, state and size, problem."""

    def paint_facts(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex, line: QRect
    ) -> None:
        """Paint the problem of a slide that cannot be read, else what is known of it."""
        problem = str(index.data(PROBLEM_ROLE) or "")
        if not index.data(READABLE_ROLE):
            painter.setPen(QColor(_PROBLEM))
            # Two lines, less what breaking between words costs.
            room = 2 * line.width() - 60
            shown = option.fontMetrics.elidedText(problem, Qt.TextElideMode.ElideRight, room)
            flags = Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
            painter.drawText(line.adjusted(0, 0, 0, line.height()), int(flags), shown)
            return
        self.paint_line(painter, option, line, str(index.data(DETAIL_ROLE)), opacity=0.75)
        line = line.translated(0, line.height())
        left = self.paint_state(painter, line, str(index.data(STATE_ROLE)))
        line = line.adjusted(left + PAD, 0, 0, 0)
        left = self.paint_line(painter, option, line, str(index.data(SIZE_ROLE)), opacity=0.75)
        painter.setPen(QColor(_NOTE))
        self.paint_line(painter, option, line.adjusted(left + PAD * bool(left), 0, 0, 0), problem)


class LibraryList(ItemList):
    """Search field, filter, list, and how many slides there are.

    Signals
    -------
    opened
        The id of the slide that a person double-clicked or pressed Enter on.
    """

    opened = Signal(int)

    def __init__(self, session: SlidesSession, thumbnails: Thumbnails, parent: Any = None) -> None:
        model = LibraryModel(session, thumbnails)
        states = [
            ("All slides", None),
            *((state.value.capitalize(), state.value) for state in SlideState),
            ("With a problem", PROBLEMS),
        ]
        shown = LibraryFilter(model, session)
        super().__init__(model, shown, SlideDelegate(STATE_COLORS), states, _HINT, parent)
        self._session = session
        self.view.setMinimumHeight(2 * ROW_HEIGHT + 4)
        self.view.setAccessibleName("Slides")
        self.view.setToolTip("Slides of the library; double-click or press Enter to open one")
        self.view.activated.connect(self._on_activated)
        self.states.setToolTip("Show only slides in this state, or those with a problem")
        self.count = QLabel()
        self.count.setToolTip("Slides in the library, and how many of them have a problem")
        self.column.addWidget(self.count)
        for signal in (session.slide_changed, session.slides_changed, session.library_changed):
            signal.connect(self.count_later)
        session.current_changed.connect(self._show_current)
        self.count_anew()

    def _on_activated(self, index: QModelIndex) -> None:
        key = index.data(KEY_ROLE)
        if key is not None:
            self.opened.emit(int(key))

    def _show_current(self) -> None:
        if self._session.current is not None:
            self.mark(self._session.current)

    def count_anew(self) -> None:
        """Show how many slides there are, and how many of them cannot be read."""
        entries = self._session.entries().values()
        total, bad = len(entries), sum(not entry.is_readable for entry in entries)
        words = f"{total} slide{'s' * (total != 1)}" + (f" · {bad} unreadable" if bad else "")
        self.count.setText(words if total else "")
        self.hint.setVisible(not total)
