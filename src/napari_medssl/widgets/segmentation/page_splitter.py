"""A list above pages: the page in front gets the height that it needs, the list what is left."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QScrollArea, QSplitter, QTabWidget, QWidget


class PageSplitter(QSplitter):
    """Shares the height until a person drags the handle; a page that is cut off can be scrolled.

    Parameters
    ----------
    upper
        What is above the pages.
    parent
        Qt parent.

    Attributes
    ----------
    pages
        The pages; `add_page` adds one.
    """

    def __init__(self, upper: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._upper = upper
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        self._was_dragged = False
        self._due: QWidget | None = None
        self._fit = QTimer(self)  # sizes are known once events have run
        self._fit.setSingleShot(True)
        self._fit.setInterval(0)
        self._fit.timeout.connect(self.fit)
        self.addWidget(upper)
        self.addWidget(self.pages)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)
        self.setChildrenCollapsible(False)
        self.splitterMoved.connect(self._on_dragged)
        self.pages.currentChanged.connect(self._fit_later)

    def add_page(self, page: QWidget, title: str) -> None:
        """Add a page; it has a layout."""
        scroll = QScrollArea()
        scroll.setWidget(page)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.pages.addTab(scroll, title)
        page.installEventFilter(self)

    def reveal(self, part: QWidget) -> None:
        """Scroll a part of the page in front into sight once it has its place."""
        self._due = part
        self._fit.start()

    def fit(self) -> None:
        """Give the page in front its height, as far as a row of the list is left."""
        scroll = self.pages.currentWidget()
        page = scroll.widget() if isinstance(scroll, QScrollArea) else None
        layout = None if page is None else page.layout()
        if not isinstance(scroll, QScrollArea) or page is None or layout is None:
            return
        if not self._was_dragged:
            width = scroll.viewport().width()
            needed = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else 0
            needed = max(needed, layout.totalMinimumSize().height())
            frame = self.pages.height() - scroll.viewport().height()
            total = sum(self.sizes())
            lower = min(needed + frame, total - self._upper.minimumSizeHint().height())
            if lower > 0 and lower != self.sizes()[1]:
                self.setSizes([total - lower, lower])
        part, self._due = self._due, None
        if part is not None and part.isVisible():
            scroll.ensureWidgetVisible(part)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Notice that a page has other parts than before."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._fit.start()
        return bool(super().eventFilter(watched, event))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Share the height anew."""
        super().resizeEvent(event)
        self._fit.start()

    def _fit_later(self, _page: int) -> None:
        self._fit.start()

    def _on_dragged(self, _position: int, _index: int) -> None:
        self._was_dragged = True
