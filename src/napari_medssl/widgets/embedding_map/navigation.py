"""A widget that shows a part of the plane: wheel, keys, and what moves it from elsewhere."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import QPointF, QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent, QMouseEvent, QResizeEvent, QWheelEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_medssl.backend.map_view import Bounds, MapView, fitting_view
from napari_medssl.widgets.embedding_map.gestures import Gestures, Place

_NOTCH = 120.0  # of a wheel, in Qt's eighths of a degree
_PER_NOTCH = 1.22
_KEY_ZOOM = 1.4
_KEY_PAN = 0.12  # of the view
_SMALLEST, _LARGEST = 0.25, 1e6  # scales, where 1 shows all
_KEYS = Qt.Key
_PANS = {
    _KEYS.Key_Left: (1, 0),
    _KEYS.Key_Right: (-1, 0),
    _KEYS.Key_Up: (0, 1),
    _KEYS.Key_Down: (0, -1),
}
_ZOOMS = {
    _KEYS.Key_Plus: _KEY_ZOOM,
    _KEYS.Key_Equal: _KEY_ZOOM,
    _KEYS.Key_Minus: 1 / _KEY_ZOOM,
    _KEYS.Key_Underscore: 1 / _KEY_ZOOM,
}


class NavigatedWidget(QWidget):
    """Wheel: zoom at the mouse. Double click, 0 or Home: show all. Arrows pan, + and - zoom.

    The left button does what the tool says; the middle one always pans, and so does the left one
    while the space bar is held. Esc forgets a half-drawn lasso.

    Signals
    -------
    view_changed
        Another part of the plane is shown.
    """

    view_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = fitting_view((0.0, 0.0, 1.0, 1.0), self.width(), self.height())
        self._all: Bounds = (0.0, 0.0, 1.0, 1.0)
        self._is_fitted = True
        self.gestures = Gestures(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(160, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Return the size that fits beside the layers."""
        return QSize(440, 440)

    def fit(self) -> None:
        """Show all of the map."""
        self._is_fitted = True
        self._show(fitting_view(self._all, self.width(), self.height()))

    def fit_again(self, bounds: Bounds | None = None) -> bool:
        """Show all of the map, which may be elsewhere now, if all was shown; say whether it was."""
        self._all = self._all if bounds is None else bounds
        if self._is_fitted:
            self.fit()
        return self._is_fitted

    def zoom(self, factor: float, at: QPointF | None = None) -> None:
        """Show more (`factor` < 1) or less around a point of the widget, else around the middle."""
        point = QPointF(self.width() / 2, self.height() / 2) if at is None else at
        fitted = fitting_view(self._all, self.width(), self.height()).scale
        factor = max(factor, fitted * _SMALLEST / self.view.scale)
        factor = min(factor, fitted * _LARGEST / self.view.scale)
        self._move(self.view.zoomed(factor, point.x(), point.y()))

    def drag(self, dx: float, dy: float) -> None:
        """Move what is shown by pixels to the right and down."""
        self._move(self.view.dragged(dx, dy))

    def map_place(self, at: QPointF) -> Place:
        """Return the place of the plane at a point of the widget."""
        return self.view.to_plane(at.x(), at.y())

    def click(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Take a click."""

    def choose_in(self, corners: list[Place], mode: str) -> None:
        """Choose what lies in a polygon of the plane."""

    def choose_between(self, start: Place, end: Place, mode: str) -> None:
        """Choose what lies in a rectangle of the plane."""

    def pointed_at(self, _at: QPointF | None) -> None:
        """Take where the mouse is with no button held; None if it is elsewhere."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom at the mouse."""
        if event is None:
            return
        notches = event.angleDelta().y() / _NOTCH
        if notches:
            self.zoom(_PER_NOTCH**notches, event.position())
            self.pointed_at(event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin what the button does."""
        if event is None:
            return
        if self.gestures.press(event.button(), event.position(), event.modifiers()):
            self.pointed_at(None)
            self.show_cursor()
            event.accept()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Go on with it, or look what the mouse is at."""
        if event is None:
            return
        if not self.gestures.is_busy:
            self.pointed_at(event.position())
            return
        self.gestures.move(event.position())
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End it."""
        if event is None:
            return
        self.gestures.release(event.button(), event.position())
        self.show_cursor()
        self.pointed_at(event.position())
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Show all."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.fit()
            event.accept()

    def leaveEvent(self, event: object) -> None:
        """The mouse is elsewhere."""
        self.pointed_at(None)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Do what a key stands for; pass on the others."""
        if event is None:
            return
        key = event.key()
        if key in _PANS:
            dx, dy = _PANS[Qt.Key(key)]
            self.drag(dx * _KEY_PAN * self.width(), dy * _KEY_PAN * self.height())
        elif key in _ZOOMS:
            self.zoom(_ZOOMS[Qt.Key(key)])
        elif key in (_KEYS.Key_0, _KEYS.Key_Home):
            self.fit()
        elif key == _KEYS.Key_Space:
            self.gestures.holds_space = True
            self.show_cursor()
        elif key == _KEYS.Key_Escape and self.gestures.is_busy:
            self.gestures.cancel()
            self.show_cursor()
            self.update()
        else:
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        """Let go of the space bar."""
        if event is None or event.isAutoRepeat():
            return
        if event.key() == _KEYS.Key_Space:
            self.gestures.holds_space = False
            self.show_cursor()
        else:
            event.ignore()

    def focusOutEvent(self, event: object) -> None:
        """Let go of the space bar: its release goes to another widget."""
        self.gestures.holds_space = False
        self.show_cursor()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep all in view if it was, else the middle where it is."""
        if not self.fit_again():
            self._show(self.view.sized(self.width(), self.height()))

    def show_cursor(self) -> None:
        """Have the mouse look as what it would do."""
        shapes = Qt.CursorShape
        if self.gestures.is_panning:
            self.setCursor(shapes.ClosedHandCursor)
        elif self.gestures.holds_space or self.gestures.tool == "pan":
            self.setCursor(shapes.OpenHandCursor)
        else:
            self.setCursor(shapes.CrossCursor)

    def _move(self, view: MapView) -> None:
        """Show a view that a person chose; its middle stays on the map."""
        x0, y0, x1, y1 = self._all
        self._is_fitted = False
        self._show(replace(view, x=min(max(view.x, x0), x1), y=min(max(view.y, y0), y1)))

    def _show(self, view: MapView) -> None:
        if view != self.view:
            self.view = view
            self.view_changed.emit()
            self.update()
