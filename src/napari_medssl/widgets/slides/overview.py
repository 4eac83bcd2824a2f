"""A small map of the whole slide with the part that the canvas shows; a click moves the view."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_medssl.io.slides.protocol import Pixels
from napari_medssl.widgets.slides.camera import Viewport

_FRAME = "#ff2d95"  # seen on glass, on stains and on black
_LEAST_FRAME = 6.0


class OverviewMap(QWidget):
    """The map; it knows the slide's size and the viewport, and asks for moves.

    Signals
    -------
    moved
        The location, x and y in pixels of level 0, that a person clicked or dragged to.
    """

    moved = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = QPixmap()
        self._size: tuple[int, int] | None = None
        self._viewport: Viewport | None = None
        self.setMinimumHeight(110)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Overview of the slide")
        self.setToolTip("The whole slide; click or drag to move the view there")
        # The camera tells of every step of a zoom: painted once for all.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(16)
        self._later.timeout.connect(self.update)

    def sizeHint(self) -> QSize:
        """Return the size that fits beside the lists."""
        return QSize(300, 150)

    def show_slide(self, size: tuple[int, int] | None) -> None:
        """Be the map of a slide of this width and height; of none for None."""
        self._size = size
        self._picture = QPixmap()
        self._viewport = None
        self.update()

    def show_picture(self, pixels: Pixels) -> None:
        """Show the picture of the slide, uint8 RGB, shape (Y, X, 3)."""
        height, width = pixels.shape[:2]
        image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        self._picture = QPixmap.fromImage(image)
        self.update()

    def show_viewport(self, viewport: Viewport) -> None:
        """Show what the canvas shows."""
        self._viewport = viewport
        if not self._later.isActive():
            self._later.start()

    @property
    def has_picture(self) -> bool:
        """Whether the picture is there."""
        return not self._picture.isNull()

    def area(self) -> QRectF:
        """Return where the slide is drawn, in pixels of the widget; empty without one."""
        if self._size is None:
            return QRectF()
        width, height = self._size
        factor = min((self.width() - 4) / width, (self.height() - 4) / height)
        drawn = QRectF(0, 0, width * factor, height * factor)
        drawn.moveCenter(QPointF(self.width() / 2, self.height() / 2))
        return drawn

    def point_of(self, x: float, y: float) -> QPointF:
        """Return where a location is on the widget."""
        area = self.area()
        if self._size is None:
            return area.topLeft()
        return area.topLeft() + QPointF(
            x / self._size[0] * area.width(), y / self._size[1] * area.height()
        )

    def frame(self) -> QRectF:
        """Return the rectangle that stands for the viewport, in pixels of the widget."""
        if self._viewport is None or self._size is None:
            return QRectF()
        seen, area = self._viewport, self.area()
        width = max(_LEAST_FRAME, seen.width / self._size[0] * area.width())
        height = max(_LEAST_FRAME, seen.height / self._size[1] * area.height())
        frame = QRectF(0, 0, width, height)
        frame.moveCenter(self.point_of(seen.x, seen.y))
        return frame

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the map."""
        painter = QPainter(self)
        if self._size is None:
            painter.setOpacity(0.6)
            painter.setPen(self.palette().color(self.palette().ColorRole.Text))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No slide is open.")
            return
        area = self.area()
        painter.fillRect(area, QColor(128, 128, 128, 60))
        if self.has_picture:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(area, self._picture, QRectF(self._picture.rect()))
        frame = self.frame()
        if frame.isEmpty():
            return
        frame = frame.intersected(area.adjusted(-2, -2, 2, 2))
        painter.setPen(QPen(QColor(_FRAME), 2))
        painter.drawRect(frame)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Move the view to the mouse."""
        self._move(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move the view with the mouse."""
        self._move(event)

    def _move(self, event: QMouseEvent | None) -> None:
        area = self.area()
        if event is None or self._size is None or area.isEmpty():
            return
        if not event.buttons() & Qt.MouseButton.LeftButton:
            return
        at = event.position()
        x = (at.x() - area.left()) / area.width() * self._size[0]
        y = (at.y() - area.top()) / area.height() * self._size[1]
        self.moved.emit(
            min(max(x, 0.0), float(self._size[0])), min(max(y, 0.0), float(self._size[1]))
        )
        event.accept()
