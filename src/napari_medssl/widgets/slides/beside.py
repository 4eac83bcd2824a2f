"""Other slides beside the one in front, each in a canvas of its own, their cameras linked.

napari's grid links the cameras of its cells for good and puts every layer into a cell of its own,
so views that can be unlinked, aligned and linked again need canvases of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow, QToolButton, QVBoxLayout, QWidget

from napari_medssl.widgets._buttons import ToolButton, row_of
from napari_medssl.widgets._gl_context import keep_context
from napari_medssl.widgets._live import LiveRequests
from napari_medssl.widgets.slides.camera import viewport
from napari_medssl.widgets.slides.camera_link import CameraLink, camera_of
from napari_medssl.widgets.slides.reading import OpenedSlide, open_for_view
from napari_medssl.widgets.slides.session import SlidesSession

_LAID_OUT_MS = 50


class BesideView(QWidget):
    """A canvas with one slide, its name, and whether its camera is linked.

    Parameters
    ----------
    viewer
        The viewer beside which it stands.
    opened
        The slide.
    title
        Its name, to be shown.
    close
        Takes this view away; called with it.
    """

    def __init__(
        self, viewer: Any, opened: OpenedSlide, title: str, close: Callable[[BesideView], None]
    ) -> None:
        super().__init__()
        from napari.components import ViewerModel
        from napari.qt import QtViewer

        self.key = opened.key
        self._is_released = False
        self._main = viewer
        self._close = close
        self.model = ViewerModel()
        keep_context(self.model)
        self.model.theme = viewer.theme
        self._canvas = QtViewer(self.model)
        self._canvas.setAcceptDrops(False)
        levels, options, _ = opened.layer
        self.layer = self.model.add_image(levels, **dict(options, name=title))
        self.model.canvas.overlays.scale_bar.visible = True
        self.link = CameraLink(viewer, self.model)
        self.name = QLabel(f"<b>{title}</b>")
        self.link_button = QToolButton()
        self.link_button.setText("Linked")
        self.link_button.setCheckable(True)
        self.link_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.link_button.setToolTip(
            "Move together with the main view. Switch off, put both on the same spot, and switch "
            "on again: they then keep that alignment"
        )
        self.link_button.toggled.connect(self._on_linked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        row = row_of([self.name, self.link_button, ToolButton("✕", "Close", self.dismiss)])
        row.setStretch(0, 1)
        layout.addLayout(row)
        layout.addWidget(self._canvas, 1)
        self.setMinimumWidth(200)
        viewer.events.theme.connect(self._on_theme)

    def align(self, main_layer: Any) -> None:
        """Show the middle of this slide where the main view shows its own, and link the two."""
        self.model.reset_view()
        if main_layer is not None:
            y1, x1, zoom = camera_of(self._main)
            middle = _middle(main_layer)
            own = _middle(self.layer)
            if _is_in_microns(main_layer) and _is_in_microns(self.layer):
                self.model.scene.camera.zoom = zoom
            self.model.scene.camera.center = (0.0, own[0] + y1 - middle[0], own[1] + x1 - middle[1])
        self.link_button.setChecked(True)

    def rename(self, title: str) -> None:
        """Show another name."""
        self.name.setText(f"<b>{title}</b>")
        self.layer.name = title

    def event(self, event: QEvent | None) -> bool:
        """Notice that napari took the view out of its dock: somebody closed it there."""
        is_moved = event is not None and event.type() == QEvent.Type.ParentChange
        if is_moved and self.parentWidget() is None and not self._is_released:
            QTimer.singleShot(0, self.dismiss)
        return bool(super().event(event))

    def dismiss(self) -> None:
        """Take the view away."""
        self._close(self)

    def release(self) -> None:
        """Give up the canvas and the slide; once."""
        if self._is_released:
            return
        self._is_released = True
        self.link.close()
        self._main.events.theme.disconnect(self._on_theme)
        self.model.layers.clear()
        self._canvas.close()

    def _on_linked(self, is_on: bool) -> None:
        self.link_button.setText("Linked" if is_on else "Unlinked")
        if is_on:
            self.link.switch_on()
        else:
            self.link.switch_off()

    def _on_theme(self, _event: Any = None) -> None:
        self.model.theme = self._main.theme


class SideBySide(QObject):
    """The views beside the main one.

    Signals
    -------
    failed
        Why a slide could not be shown.
    shown
        A view came in.
    """

    failed = Signal(str)
    shown = Signal()

    def __init__(self, viewer: Any, session: SlidesSession, widget: QWidget) -> None:
        super().__init__(widget)
        self._viewer = viewer
        self._session = session
        self._widget = widget
        self.views: list[BesideView] = []
        self._shows_all = False
        self._reader = LiveRequests(self)
        self._reader.ready.connect(self._show)
        self._reader.failed.connect(self._on_failed)
        session.library_changed.connect(self.close_all)
        session.masked_changed.connect(self._rename)

    def open(self, key: int) -> None:
        """Open a slide in a thread and show it beside the one in front."""
        self._reader.submit(open_for_view, key, self._session.entry(key))

    def close(self) -> None:
        """Stop the thread and take all views away."""
        self._reader.close()
        self.close_all()

    def close_all(self) -> None:
        """Take all views away."""
        self._reader.drop()
        for view in list(self.views):
            self._take_away(view)

    def set_linked(self, is_on: bool) -> None:
        """Link all views, or none."""
        for view in self.views:
            view.link_button.setChecked(is_on)

    def _show(self, opened: OpenedSlide) -> None:
        if not self._session.has(opened.key):
            return
        title = self._session.title(opened.key)
        self._shows_all = self._is_all_shown()
        view = BesideView(self._viewer, opened, title, self._take_away)
        self.views.append(view)
        name = f"Beside {len(self.views)}"
        self._viewer.window.add_dock_widget(view, name=name, area="right")
        self._place(view)
        # The canvas has its size once the docks are laid out.
        QTimer.singleShot(_LAID_OUT_MS, partial(self._align, view))
        self.shown.emit()

    def _align(self, view: BesideView) -> None:
        if view in self.views:
            self._share_room()
            QTimer.singleShot(_LAID_OUT_MS, partial(self._link, view))

    def _link(self, view: BesideView) -> None:
        if view not in self.views:
            return
        if self._shows_all:
            self._viewer.reset_view()
        view.align(self._session.layer)

    def _is_all_shown(self) -> bool:
        """Tell whether the main view shows all of its slide, and should after it got smaller."""
        layer = self._session.layer
        if layer is None:
            return False
        seen = viewport(self._viewer, layer)
        height, width = layer.data[0].shape[:2]
        return bool(seen.width >= width * 0.99 and seen.height >= height * 0.99)

    def _place(self, view: BesideView) -> None:
        """Put a view between the main canvas and the widget, right of the views before it."""
        window, ours, other = self._widget.window(), _dock_of(self._widget), _dock_of(view)
        if not isinstance(window, QMainWindow) or ours is None or other is None:
            return
        before = _dock_of(self.views[-2]) if len(self.views) > 1 else None
        if before is not None:
            window.splitDockWidget(before, other, Qt.Orientation.Horizontal)
        else:
            window.splitDockWidget(other, ours, Qt.Orientation.Horizontal)

    def _share_room(self) -> None:
        """Make the main canvas and all views as wide as each other."""
        window, ours = self._widget.window(), _dock_of(self._widget)
        docks = [dock for dock in map(_dock_of, self.views) if dock is not None]
        if not isinstance(window, QMainWindow) or ours is None or not docks:
            return
        room = self._viewer.canvas.size[1] + sum(dock.width() for dock in docks)
        share = room // (len(docks) + 1)
        sizes = [*([share] * len(docks)), ours.width()]
        window.resizeDocks([*docks, ours], sizes, Qt.Orientation.Horizontal)

    def _take_away(self, view: BesideView) -> None:
        if view not in self.views:
            return
        self.views.remove(view)
        view.release()
        with suppress(LookupError):  # napari has taken it away already
            self._viewer.window.remove_dock_widget(view)
        view.deleteLater()

    def _rename(self) -> None:
        for view in self.views:
            if self._session.has(view.key):
                view.rename(self._session.title(view.key))

    def _on_failed(self, text: str) -> None:
        self.failed.emit(text)


def _dock_of(widget: QWidget) -> QDockWidget | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def _middle(layer: Any) -> tuple[float, float]:
    low, high = layer.extent.world
    return float(low[-2] + high[-2]) / 2, float(low[-1] + high[-1]) / 2


def _is_in_microns(layer: Any) -> bool:
    return all(str(unit) == "micrometer" for unit in layer.units)
