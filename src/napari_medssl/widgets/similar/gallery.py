"""The gallery of hits: pictures in rows, + and − on the one under the mouse, a click goes there."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QEvent, QModelIndex, QPoint, QRect, Qt, Signal
from qtpy.QtGui import QContextMenuEvent, QMouseEvent, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QLabel,
    QListView,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.index.results import Hit
from napari_medssl.widgets._buttons import PushButton, add_entry, row_of
from napari_medssl.widgets._item_list import RowsView
from napari_medssl.widgets.similar.gallery_model import HIT_ROLE, GalleryModel
from napari_medssl.widgets.similar.hit_delegate import (
    LEAST_SIDE,
    MARKS,
    MOST_SIDE,
    PAD,
    STAIN_COLOR,
    HitDelegate,
    sign_chips,
)

_HINT = (
    "Open a slide and pick a tile on it,\nor drop a picture here.\n\nThe most similar tiles of the "
    "library\nappear here."
)


class GalleryView(RowsView):
    """The list; it tells of clicks on hits and on their signs.

    Signals
    -------
    opened
        The `Hit` that a person clicked, or pressed Enter on.
    signed
        A `Hit`, and True for + or False for −.
    marked
        A `Hit` and the word that it is marked with, "" for none any more.
    hovered
        The `Hit` under the mouse and where on the screen its cell is; None when there is none.
    """

    opened = Signal(object)
    signed = Signal(object, bool)
    hovered = Signal(object, object)
    marked = Signal(object, str)

    def __init__(self, model: GalleryModel) -> None:
        super().__init__()
        self.setModel(model)
        self._delegate = HitDelegate(self)
        self.setItemDelegate(self._delegate)
        self._on_reset()
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setSpacing(0)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        self.setAccessibleName("Similar tiles")
        self.setMinimumHeight(150)
        self._pressed = -1
        model.modelReset.connect(self._on_reset)
        self.activated.connect(self._on_activated)

    def _on_reset(self) -> None:
        """Forget what the mouse rested on: there is another hit by now."""
        self._hovered = -1
        # With hits the bar is always there, or the pictures would change their size with it.
        policy = Qt.ScrollBarPolicy
        has_hits = bool(self.model().rowCount())
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAlwaysOn if has_hits else policy.ScrollBarAlwaysOff
        )

    def step(self, steps: int) -> None:
        """Go to the next hit, or back."""
        count = self.model().rowCount()
        if count:
            row = min(max(self.currentIndex().row() + steps, 0), count - 1)
            index = self.model().index(row, 0)
            self.setCurrentIndex(index)
            self.scrollTo(index)
            self.opened.emit(index.data(HIT_ROLE))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Make the pictures as large as fills the rows."""
        width = self.viewport().width() - 2
        columns = max(1, width // (LEAST_SIDE + 2 * PAD))
        self._delegate.side = min(MOST_SIDE, width // columns - 2 * PAD)
        super().resizeEvent(event)

    def _on_activated(self, index: QModelIndex) -> None:
        # A mouse click is told by `mouseReleaseEvent`; some desktops activate by it as well.
        if self._pressed < 0 and index.isValid():
            self.opened.emit(index.data(HIT_ROLE))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Note which hit is pressed."""
        if event is None:
            return
        place = event.position().toPoint()
        self._pressed = self.indexAt(place).row()
        if self._sign_at(place) is None:
            super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Go to the hit that was clicked, or add it to the examples."""
        if event is None:
            return
        place = event.position().toPoint()
        index = self.indexAt(place)
        is_click = event.button() == Qt.MouseButton.LeftButton and index.row() == self._pressed
        sign = self._sign_at(place)
        if sign is None:
            super().mouseReleaseEvent(event)
        self._pressed = -1
        if is_click and index.isValid():
            hit = index.data(HIT_ROLE)
            if sign is None:
                self.opened.emit(hit)
            else:
                self.signed.emit(hit, sign)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        """Offer to mark the hit under the mouse."""
        index = QModelIndex() if event is None else self.indexAt(event.pos())
        if event is not None and index.isValid():
            self.mark_menu(index.data(HIT_ROLE)).popup(event.globalPos())

    def mark_menu(self, hit: Hit) -> QMenu:
        """Return the menu that marks a hit."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for word, (sign, _) in MARKS.items():
            tip = "The mark is kept in the library"
            add_entry(menu, f"{sign} Mark as {word}", tip, partial(self.marked.emit, hit, word))
        add_entry(menu, "Take the mark off", "", partial(self.marked.emit, hit, ""))
        return menu

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Tell which hit is under the mouse."""
        super().mouseMoveEvent(event)
        if event is not None:
            self.hover(self.indexAt(event.position().toPoint()))

    def leaveEvent(self, event: QEvent | None) -> None:
        """Tell that no hit is under the mouse."""
        super().leaveEvent(event)
        self.hover(QModelIndex())

    def hover(self, index: QModelIndex) -> None:
        """Take note of the hit that is pointed at."""
        row = index.row() if index.isValid() else -1
        if row == self._hovered:
            return
        self._hovered = row
        hit = index.data(HIT_ROLE) if row >= 0 else None
        cell = self.visualRect(index) if row >= 0 else QRect()
        self.hovered.emit(hit, QRect(self.viewport().mapToGlobal(cell.topLeft()), cell.size()))

    def _sign_at(self, place: QPoint) -> bool | None:
        """Return True over the + of a hit, False over its −, None elsewhere."""
        index = self.indexAt(place)
        if not index.isValid():
            return None
        plus, minus = sign_chips(self.visualRect(index))
        if plus.contains(place):
            return True
        return False if minus.contains(place) else None


class Gallery(QWidget):
    """The list with a line that counts, and words where there is nothing.

    Signals
    -------
    badge_clicked
        The badge of a ranking that is driven by stain was clicked.
    """

    badge_clicked = Signal()

    def __init__(self, model: GalleryModel, export: QMenu) -> None:
        super().__init__()
        self.view = GalleryView(model)
        self._model = model
        self.count = QLabel()
        self.count.setToolTip("How many hits, and how sure the search is that none is missed")
        self.hint = QLabel(_HINT, self.view)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setWordWrap(True)
        self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        over = QVBoxLayout(self.view)
        over.addWidget(self.hint)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.view, 1)
        button = QPushButton("Export")
        button.setToolTip("Write the hits into a file")
        button.setMenu(export)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.badge = PushButton("", "", self.badge_clicked.emit)
        self.badge.setStyleSheet(f"color: white; background: {STAIN_COLOR}; padding: 2px 8px;")
        self.badge.hide()
        row = row_of([self.count, self.badge, button])
        row.setStretch(0, 1)
        layout.addLayout(row)
        model.modelReset.connect(self._on_reset)

    def _on_reset(self) -> None:
        self.hint.setVisible(not self._model.rowCount())

    def show_badge(self, words: str, tip: str = "") -> None:
        """Show the badge of the whole list; no words take it away."""
        self.badge.setText(words)
        self.badge.setToolTip(tip)
        self.badge.setVisible(bool(words))

    def say(self, hint: str) -> None:
        """Show other words where there is nothing; "" for the usual ones."""
        self.hint.setText(hint or _HINT)
