"""The list of figures: search, state filter, order, thumbnails, progress and time left."""

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
    QProgressBar,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.backend.jobs import duration_text
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._thumbnails import HEIGHT, WIDTH, Thumbnails
from napari_medssl.widgets.separation.figure_model import (
    DETAIL_ROLE,
    KEY_ROLE,
    STATE_ROLE,
    FigureFilter,
    FigureModel,
)
from napari_medssl.widgets.separation.session import Session

STATE_COLORS = {
    ReviewState.TO_DO.value: "#8a8f98",
    ReviewState.DONE.value: "#2f9e5b",
    ReviewState.UNSURE.value: "#d9822b",
    ReviewState.REJECTED.value: "#c0485a",
}
_PAD = 6
_MARK = "#5b78e0"
_HINT = (
    "No figures yet.\n\nDrop images, PDFs or a folder here,\nor use Open.\n\n"
    "An image layer that is selected in napari\nis taken by Separate."
)


class FigureDelegate(QStyledItemDelegate):
    """Paint a row: thumbnail, name, what was found, state."""

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
        self._paint_picture(painter, frame, index.data(Qt.ItemDataRole.DecorationRole))
        text = area.adjusted(WIDTH + 3 * _PAD, _PAD, -_PAD, -_PAD)
        role = option.palette.ColorRole
        painter.setPen(option.palette.color(role.HighlightedText if is_selected else role.Text))
        name_height = option.fontMetrics.height() + 2
        name = option.fontMetrics.elidedText(
            str(index.data()), Qt.TextElideMode.ElideMiddle, text.width()
        )
        font = painter.font()
        font.setBold(is_selected)
        painter.setFont(font)
        top = QRect(text.left(), text.top(), text.width(), name_height)
        painter.drawText(top, Qt.AlignmentFlag.AlignVCenter, name)
        font.setBold(False)
        painter.setFont(font)
        painter.setOpacity(0.75)
        painter.drawText(
            top.translated(0, name_height), Qt.AlignmentFlag.AlignVCenter, index.data(DETAIL_ROLE)
        )
        painter.setOpacity(1.0)
        self._paint_state(painter, top.translated(0, 2 * name_height), str(index.data(STATE_ROLE)))
        painter.restore()

    def _paint_picture(self, painter: QPainter, frame: QRect, picture: Any) -> None:
        painter.fillRect(frame, QColor(128, 128, 128, 50))
        if picture is None or picture.isNull():
            return
        size = picture.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(frame.topLeft(), size)
        place.moveCenter(frame.center())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(place, picture)

    def _paint_state(self, painter: QPainter, place: QRect, state: str) -> None:
        width = QFontMetrics(painter.font()).horizontalAdvance(state) + 12
        chip = QRect(place.left(), place.top() + 2, width, place.height() - 2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(STATE_COLORS[state]))
        painter.drawRoundedRect(chip, 6, 6)
        painter.setPen(QColor("white"))
        painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, state)


class FigureList(QWidget):
    """Search field, filters, list and progress.

    Signals
    -------
    chosen
        The key of the figure that a person clicked or went to with the arrows.
    """

    chosen = Signal(str)

    def __init__(self, session: Session, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self.model = FigureModel(session, thumbnails, self)
        self.filter = FigureFilter(self.model, session, self)
        self.view = QListView()
        self.view.setModel(self.filter)
        self.view.setItemDelegate(FigureDelegate(self.view))
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setMinimumHeight(HEIGHT + 2 * _PAD + 4)
        self.view.setToolTip("Figures of the project; click one to open it")
        self.view.selectionModel().currentChanged.connect(self._on_current)
        self._build_filters()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setToolTip("How many figures are done or rejected")
        self.progress = QLabel()
        self.progress.setToolTip("Progress, and the time left at your pace of the last figures")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        row = QHBoxLayout()
        for widget, stretch in ((self.search, 2), (self.states, 1), (self.order, 1)):
            row.addWidget(widget, stretch)
        layout.addLayout(row)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.bar)
        layout.addWidget(self.progress)
        self.hint = QLabel(_HINT, self.view)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setWordWrap(True)
        self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        over = QVBoxLayout(self.view)
        over.addWidget(self.hint)
        # Many figures may change at once (a job, an import): counted once for all.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(50)
        self._later.timeout.connect(self._show_progress)
        for signal in (session.figure_changed, session.figures_changed, session.project_changed):
            signal.connect(self._schedule)
        session.current_changed.connect(self._show_current)
        self.model.layoutChanged.connect(self._show_current)
        self._show_progress()

    def _build_filters(self) -> None:
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search names")
        self.search.setClearButtonEnabled(True)
        self.search.setToolTip("Show only figures whose names hold these words")
        self.search.textChanged.connect(self.filter.set_text)
        self.states = QComboBox()
        self.states.addItem("All states", None)
        for state in ReviewState:
            self.states.addItem(state.value.capitalize(), state)
        self.states.setToolTip("Show only figures in this state")
        self.states.currentIndexChanged.connect(self._on_state)
        self.order = QComboBox()
        self.order.addItem("Uncertain first", True)
        self.order.addItem("File order", False)
        self.order.setToolTip(
            "Order of the list: first where a look is expected to mend most, or as added"
        )
        self.order.currentIndexChanged.connect(self._on_order)
        for box in (self.states, self.order):
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )

    def _on_state(self, _index: int) -> None:
        self.filter.set_state(self.states.currentData())

    def _on_order(self, _index: int) -> None:
        self.model.set_by_benefit(self.order.currentData())

    def selected_keys(self) -> list[str]:
        """Return the keys of the figures marked in the list."""
        rows = sorted(self.view.selectionModel().selectedIndexes(), key=lambda i: i.row())
        return [index.data(KEY_ROLE) for index in rows]

    def neighbour(self, step: int) -> str | None:
        """Return the figure that many rows below the current one in the list as shown."""
        row = self.view.currentIndex().row() + step
        if not 0 <= row < self.filter.rowCount():
            return None
        return str(self.filter.index(row, 0).data(KEY_ROLE))

    def _on_current(self, current: QModelIndex, _previous: QModelIndex) -> None:
        key = current.data(KEY_ROLE) if current.isValid() else None
        if key is not None and key != self._session.current:
            self.chosen.emit(key)

    def _show_current(self) -> None:
        if self._session.current is not None:
            self.mark(self._session.current)

    def mark(self, key: str) -> None:
        """Make a figure the current one of the list, if the filter lets it through."""
        index = self.filter.mapFromSource(self.model.index(self.model.row_of(key)))
        if index.isValid():
            if index != self.view.currentIndex():
                self.view.setCurrentIndex(index)
            self.view.scrollTo(index)

    def _schedule(self, *_: Any) -> None:
        self._later.start()

    def _show_progress(self) -> None:
        progress = self._session.queue.progress()
        self.bar.setRange(0, max(1, progress.total))
        self.bar.setValue(progress.done + progress.rejected)
        parts = [f"{progress.done + progress.rejected} of {progress.total} checked"]
        if progress.unsure:
            parts.append(f"{progress.unsure} unsure")
        if progress.eta_s is not None and progress.left:
            parts.append(f"about {duration_text(progress.eta_s)} left")
        self.progress.setText(" · ".join(parts) if progress.total else "")
        self.hint.setVisible(progress.total == 0)
