"""What the lists of figures and of slides share: search, states, rows with pictures, a hint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qtpy.QtCore import QItemSelectionModel, QModelIndex, QRect, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter
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

from napari_medssl.widgets._item_model import (
    DETAIL_ROLE,
    KEY_ROLE,
    STATE_ROLE,
    ItemFilter,
    ItemModel,
)
from napari_medssl.widgets._shortcuts import passed_on
from napari_medssl.widgets._thumbnails import HEIGHT, WIDTH

PAD = 6
ROW_HEIGHT = HEIGHT + 2 * PAD
_MARK = "#5b78e0"
_UNKNOWN = "#d9822b"


class RowDelegate(QStyledItemDelegate):
    """Paint a row: picture, name, detail, and the state in a chip of its colour."""

    def __init__(self, state_colors: Mapping[str, str], parent: Any = None) -> None:
        super().__init__(parent)
        self._state_colors = state_colors

    def sizeHint(self, _option: Any, _index: QModelIndex) -> QSize:
        """Return the size of every row."""
        return QSize(200, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint one row."""
        painter.save()
        area = option.rect
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_selected:
            painter.fillRect(area, option.palette.highlight())
            painter.fillRect(QRect(area.left(), area.top(), 4, area.height()), QColor(_MARK))
        frame = QRect(area.left() + PAD, area.top() + PAD, WIDTH, HEIGHT)
        _paint_picture(painter, frame, index.data(Qt.ItemDataRole.DecorationRole))
        text = area.adjusted(WIDTH + 3 * PAD, PAD, -PAD, -PAD)
        role = option.palette.ColorRole
        painter.setPen(option.palette.color(role.HighlightedText if is_selected else role.Text))
        line = QRect(text.left(), text.top(), text.width(), option.fontMetrics.height() + 2)
        font = painter.font()
        font.setBold(is_selected)
        painter.setFont(font)
        middle = Qt.TextElideMode.ElideMiddle
        name = QFontMetrics(font).elidedText(str(index.data()), middle, line.width())
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, name)
        font.setBold(False)
        painter.setFont(font)
        self.paint_facts(painter, option, index, line.translated(0, line.height()))
        painter.restore()

    def paint_facts(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex, line: QRect
    ) -> None:
        """Paint what is below the name; `line` is the place of the first line of it."""
        self.paint_line(painter, option, line, str(index.data(DETAIL_ROLE)), opacity=0.75)
        self.paint_state(painter, line.translated(0, line.height()), str(index.data(STATE_ROLE)))

    def paint_line(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        place: QRect,
        words: str,
        *,
        opacity: float = 1.0,
    ) -> int:
        """Paint words in a line, cut off where they are too long; return how wide they are."""
        shown = option.fontMetrics.elidedText(words, Qt.TextElideMode.ElideRight, place.width())
        painter.setOpacity(opacity)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, shown)
        painter.setOpacity(1.0)
        return int(option.fontMetrics.horizontalAdvance(shown))

    def paint_state(self, painter: QPainter, place: QRect, state: str) -> int:
        """Paint a state as a chip; return its width."""
        pen = painter.pen()
        width = int(QFontMetrics(painter.font()).horizontalAdvance(state)) + 12
        chip = QRect(place.left(), place.top() + 2, width, place.height() - 2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._state_colors.get(state, _UNKNOWN)))
        painter.drawRoundedRect(chip, 6, 6)
        painter.setPen(QColor("white"))
        painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, state)
        painter.setPen(pen)
        return width


def _paint_picture(painter: QPainter, frame: QRect, picture: Any) -> None:
    painter.fillRect(frame, QColor(128, 128, 128, 50))
    if picture is None or picture.isNull():
        return
    size = picture.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
    place = QRect(frame.topLeft(), size)
    place.moveCenter(frame.center())
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawPixmap(place, picture)


class RowsView(QListView):
    """Rows that leave letters and digits to napari and to our commands."""

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move through the rows; pass on what writes a sign."""
        if not passed_on(event):
            super().keyPressEvent(event)


class SearchField(QLineEdit):
    """A field with a button that clears it, made with the first text: its pictures take 15 ms."""

    def __init__(self) -> None:
        super().__init__()
        self.textChanged.connect(self._have_button)

    def _have_button(self) -> None:
        if not self.isClearButtonEnabled():
            self.setClearButtonEnabled(True)


class ItemList(QWidget):
    """A list with a field for search and a choice of states above it, and a hint while empty.

    Parameters
    ----------
    model, shown, delegate
        The rows, the filter of them, and what paints one.
    states
        Words and value of each choice; the first one shows all.
    hint
        What is shown where there are no rows.
    parent
        Qt parent.
    """

    def __init__(
        self,
        model: ItemModel,
        shown: ItemFilter,
        delegate: RowDelegate,
        states: Iterable[tuple[str, Any]],
        hint: str,
        parent: Any = None,
    ) -> None:
        super().__init__(parent)
        self.model, self.filter = model, shown
        for child in (model, shown, delegate):
            child.setParent(self)
        self.view = RowsView()
        self.view.setModel(shown)
        self.view.setItemDelegate(delegate)
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.search = SearchField()
        self.search.setPlaceholderText("Search names")
        self.search.setToolTip("Show only rows whose names hold these words")
        self.search.textChanged.connect(shown.set_text)
        self.states = narrow_choice(states)
        self.states.currentIndexChanged.connect(self._on_state)
        self.choices = QHBoxLayout()
        self.choices.addWidget(self.search, 2)
        self.choices.addWidget(self.states, 1)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(4)
        self.column.addLayout(self.choices)
        self.column.addWidget(self.view, 1)
        self.hint = QLabel(hint, self.view)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setWordWrap(True)
        self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        over = QVBoxLayout(self.view)
        over.addWidget(self.hint)
        # Many items may change at once (a job, an import): counted once for all.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(50)
        self._later.timeout.connect(self.count_anew)

    def count_anew(self) -> None:
        """Show anew how many items there are, and the hint where there are none."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it counts.")

    def count_later(self, *_: Any) -> None:
        """Count in a moment, once for many changes."""
        self._later.start()

    def selected_keys(self) -> list[Any]:
        """Return the keys of the items marked in the list."""
        rows = sorted(self.view.selectionModel().selectedIndexes(), key=QModelIndex.row)
        return [index.data(KEY_ROLE) for index in rows]

    def mark(self, key: Any) -> None:
        """Make an item the current one of the list, if the filter lets it through."""
        index = self.filter.mapFromSource(self.model.index(self.model.row_of(key)))
        if index.isValid():
            if index != self.view.currentIndex():
                # The view's own way would toggle it while a person holds Ctrl, such as for undo.
                only = QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.view.selectionModel().setCurrentIndex(index, only)
            self.view.scrollTo(index)

    def _on_state(self, _row: int) -> None:
        self.filter.set_state(self.states.currentData())


def narrow_choice(entries: Iterable[tuple[str, Any]]) -> QComboBox:
    """Return a box to choose one of some entries, words and value of each, that may be narrow."""
    box = QComboBox()
    for words, value in entries:
        box.addItem(words, value)
    box.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # clicked, it would keep our letters
    box.setMinimumContentsLength(8)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box
