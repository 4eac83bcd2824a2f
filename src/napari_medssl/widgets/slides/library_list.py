"""The list of slides: search, filter, rows with thumbnails, and a word where there are none."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex, QRect, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QFontMetrics, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.state.slide_entry import SlideState
from napari_medssl.widgets._thumbnails import HEIGHT, WIDTH, Thumbnails
from napari_medssl.widgets.slides.library_model import (
    DETAIL_ROLE,
    KEY_ROLE,
    PROBLEM_ROLE,
    PROBLEMS,
    READABLE_ROLE,
    SIZE_ROLE,
    STATE_ROLE,
    LibraryFilter,
    LibraryModel,
)
from napari_medssl.widgets.slides.session import SlidesSession

STATE_COLORS = {
    SlideState.LINKED.value: "#6b7280",
    SlideState.CONVERTED.value: "#2f7fb8",
    SlideState.INDEXED.value: "#2f9e5b",
}
_PAD = 6
_MARK = "#5b78e0"
_PROBLEM, _NOTE = "#e5484d", "#d9822b"
_HINT = (
    "No slides yet.\n\nDrop slides or a folder here,\nor use Open.\n\n"
    "Slides are linked, never copied or changed."
)


class SlideDelegate(QStyledItemDelegate):
    """Paint a row: thumbnail, name, resolution and size, state, problem."""

    def sizeHint(self, _option: Any, _index: QModelIndex) -> QSize:
        """Return the size of every row."""
        return QSize(200, HEIGHT + 2 * _PAD)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint one row."""
        painter.save()
        area = option.rect
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_selected:
            painter.fillRect(area, option.palette.highlight())
            painter.fillRect(QRect(area.left(), area.top(), 4, area.height()), QColor(_MARK))
        frame = QRect(area.left() + _PAD, area.top() + _PAD, WIDTH, HEIGHT)
        _paint_picture(painter, frame, index.data(Qt.ItemDataRole.DecorationRole))
        text = area.adjusted(WIDTH + 3 * _PAD, _PAD, -_PAD, -_PAD)
        role = option.palette.ColorRole
        text_color = option.palette.color(role.HighlightedText if is_selected else role.Text)
        painter.setPen(text_color)
        line = QRect(text.left(), text.top(), text.width(), option.fontMetrics.height() + 2)
        self._paint_line(painter, option, line, str(index.data()), is_bold=is_selected)
        line = line.translated(0, line.height())
        problem = str(index.data(PROBLEM_ROLE) or "")
        if not index.data(READABLE_ROLE):
            painter.setFont(option.font)
            painter.setPen(QColor(_PROBLEM))
            rest = line.adjusted(0, 0, 0, line.height())
            flags = Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
            # Two lines, less what breaking between words costs.
            room = 2 * line.width() - 60
            shown = option.fontMetrics.elidedText(problem, Qt.TextElideMode.ElideRight, room)
            painter.drawText(rest, int(flags), shown)
            painter.restore()
            return
        painter.setOpacity(0.75)
        self._paint_line(painter, option, line, str(index.data(DETAIL_ROLE)))
        painter.setOpacity(1.0)
        line = line.translated(0, line.height())
        left = _paint_state(painter, line, str(index.data(STATE_ROLE)))
        line = line.adjusted(left + _PAD, 0, 0, 0)
        size = str(index.data(SIZE_ROLE))
        painter.setPen(text_color)
        painter.setOpacity(0.75)
        self._paint_line(painter, option, line, size)
        painter.setOpacity(1.0)
        painter.setPen(QColor(_NOTE))
        left = option.fontMetrics.horizontalAdvance(f"{size}  ") if size else 0
        self._paint_line(painter, option, line.adjusted(left, 0, 0, 0), problem)
        painter.restore()

    def _paint_line(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        place: QRect,
        words: str,
        *,
        is_bold: bool = False,
    ) -> None:
        font = painter.font()
        font.setBold(is_bold)
        painter.setFont(font)
        shown = option.fontMetrics.elidedText(words, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, shown)


def _paint_picture(painter: QPainter, frame: QRect, picture: Any) -> None:
    painter.fillRect(frame, QColor(128, 128, 128, 50))
    if picture is None or picture.isNull():
        return
    size = picture.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
    place = QRect(frame.topLeft(), size)
    place.moveCenter(frame.center())
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawPixmap(place, picture)


def _paint_state(painter: QPainter, place: QRect, state: str) -> int:
    """Paint the state as a chip; return its width."""
    width = int(QFontMetrics(painter.font()).horizontalAdvance(state)) + 12
    chip = QRect(place.left(), place.top() + 2, width, place.height() - 2)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(STATE_COLORS.get(state, _NOTE)))
    painter.drawRoundedRect(chip, 6, 6)
    painter.setPen(QColor("white"))
    painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, state)
    return width


class LibraryList(QWidget):
    """Search field, filter, list, and how many slides there are.

    Signals
    -------
    opened
        The id of the slide that a person double-clicked or pressed Enter on.
    """

    opened = Signal(int)

    def __init__(self, session: SlidesSession, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self.model = LibraryModel(session, thumbnails, self)
        self.filter = LibraryFilter(self.model, session, self)
        self.view = QListView()
        self.view.setModel(self.filter)
        self.view.setItemDelegate(SlideDelegate(self.view))
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setMinimumHeight(2 * (HEIGHT + 2 * _PAD) + 4)
        self.view.setAccessibleName("Slides")
        self.view.setToolTip("Slides of the library; double-click or press Enter to open one")
        self.view.activated.connect(self._on_activated)
        self._build_filters()
        self.count = QLabel()
        self.count.setToolTip("Slides in the library, and how many of them have a problem")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        row = QHBoxLayout()
        row.addWidget(self.search, 2)
        row.addWidget(self.states, 1)
        layout.addLayout(row)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.count)
        self._build_hint()
        # Many slides may change at once (a look at all of them): counted once for all.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(50)
        self._later.timeout.connect(self._show_count)
        for signal in (session.slide_changed, session.slides_changed, session.library_changed):
            signal.connect(self._schedule)
        session.current_changed.connect(self._show_current)
        self._show_count()

    def _build_filters(self) -> None:
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search names")
        self.search.setClearButtonEnabled(True)
        self.search.setToolTip("Show only slides whose names hold these words")
        self.search.textChanged.connect(self.filter.set_text)
        self.states = QComboBox()
        self.states.addItem("All slides", None)
        for state in SlideState:
            self.states.addItem(state.value.capitalize(), state.value)
        self.states.addItem("With a problem", PROBLEMS)
        self.states.setToolTip("Show only slides in this state, or those with a problem")
        self.states.currentIndexChanged.connect(self._on_state)
        self.states.setMinimumContentsLength(8)
        self.states.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )

    def _build_hint(self) -> None:
        self.hint = QLabel(_HINT, self.view)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setWordWrap(True)
        self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        over = QVBoxLayout(self.view)
        over.addWidget(self.hint)

    def selected_keys(self) -> list[int]:
        """Return the ids of the slides marked in the list."""
        rows = sorted(self.view.selectionModel().selectedIndexes(), key=QModelIndex.row)
        return [int(index.data(KEY_ROLE)) for index in rows]

    def mark(self, key: int) -> None:
        """Make a slide the current one of the list, if the filter lets it through."""
        index = self.filter.mapFromSource(self.model.index(self.model.row_of(key)))
        if index.isValid():
            if index != self.view.currentIndex():
                self.view.setCurrentIndex(index)
            self.view.scrollTo(index)

    def _on_state(self, _row: int) -> None:
        self.filter.set_state(self.states.currentData())

    def _on_activated(self, index: QModelIndex) -> None:
        key = index.data(KEY_ROLE)
        if key is not None:
            self.opened.emit(int(key))

    def _show_current(self) -> None:
        if self._session.current is not None:
            self.mark(self._session.current)

    def _schedule(self, *_: Any) -> None:
        self._later.start()

    def _show_count(self) -> None:
        entries = self._session.entries().values()
        total, bad = len(entries), sum(not entry.is_readable for entry in entries)
        words = f"{total} slide{'s' * (total != 1)}" + (f" · {bad} unreadable" if bad else "")
        self.count.setText(words if total else "")
        self.hint.setVisible(not total)
