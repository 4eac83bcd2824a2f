"""The page "View": the map of the slide, where the view is, and going to a place."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.io.slides.protocol import Pixels
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets.slides.camera import (
    look_at_location,
    screen_pixels,
    set_screen_pixels,
    viewport,
)
from napari_medssl.widgets.slides.display import SlideDisplay
from napari_medssl.widgets.slides.go_to import location_text, parse_location
from napari_medssl.widgets.slides.overview import OverviewMap
from napari_medssl.widgets.slides.reading import read_map
from napari_medssl.widgets.slides.session import SlidesSession

_NEAR_PIXELS = 4.0  # level-0 pixels under one of the screen: further out, going there also zooms


class ViewPanel(QWidget):
    """Where the view of the slide in front is, and moving it.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self, viewer: Any, session: SlidesSession, display: SlideDisplay, parent: Any = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._display = display
        self._cache: DiskCache | None = None
        self.background = Background("medssl-slide-map", self)
        self.map = OverviewMap()
        self.map.moved.connect(self._on_map)
        self.place = QLabel()
        self.place.setToolTip("The middle of the view, and the size of a pixel of the screen")
        self.place.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.place.setWordWrap(True)
        self.go_to = QLineEdit()
        self.go_to.setPlaceholderText("Go to x, y: 12000, 8000 or 3.2 mm, 1.1 mm")
        self.go_to.setAccessibleName("Go to")
        self.go_to.setToolTip(
            "Type a place in pixels of level 0, or with a unit (um, mm), and press Enter"
        )
        self.go_to.returnPressed.connect(self.go)
        self.whole = PushButton("Whole slide", "Show all of the slide", self.show_whole)
        self.full_size = PushButton(
            "1 : 1", "One pixel of level 0 for each pixel of the screen", self.show_full_size
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.map, 1)
        layout.addWidget(self.place)
        row = row_of([self.go_to, self.whole, self.full_size])
        row.setStretch(0, 1)
        layout.addLayout(row)
        for event in self._camera_events():
            event.connect(self._on_camera)
        session.current_changed.connect(self._on_current)
        self._on_current()

    def _camera_events(self) -> list[Any]:
        camera, canvas = self._viewer.scene.camera.events, self._viewer.canvas.events
        return [camera.center, camera.zoom, canvas.size]

    def use_cache(self, cache: DiskCache | None) -> None:
        """Keep maps on disk between sessions."""
        self._cache = cache

    def close_down(self) -> None:
        """Stop the thread and listen to the camera no more."""
        self.background.close()
        for event in self._camera_events():
            event.disconnect(self._on_camera)

    # -- the slide -------------------------------------------------------------------------------

    def _on_current(self) -> None:
        slide = self._display.slide
        has_slide = self._session.layer is not None and slide is not None
        for widget in (self.go_to, self.whole, self.full_size):
            widget.setEnabled(has_slide)
        self.background.drop("map")
        if slide is None or not has_slide:
            self.map.show_slide(None)
            self.place.setText("")
            return
        self.map.show_slide(slide.dimensions)
        self._on_camera()
        work = partial(read_map, slide, self._cache)
        self.background.submit("map", work, self._show_map, self._on_no_map)

    def _show_map(self, pixels: Pixels) -> None:
        self.map.show_picture(pixels)

    def _on_no_map(self, error: BaseException) -> None:
        if isinstance(error, UserError):
            self.told.emit(str(error), False)

    # -- the camera ------------------------------------------------------------------------------

    def _on_camera(self, _event: Any = None) -> None:
        layer, slide = self._session.layer, self._display.slide
        if layer is None or slide is None:
            return
        seen = viewport(self._viewer, layer)
        self.map.show_viewport(seen)
        pixels = screen_pixels(self._viewer, layer)
        words = location_text(seen.x, seen.y, slide.mpp)
        if slide.mpp is not None:
            self.place.setText(f"{words} · {pixels * slide.mpp[0]:.3g} µm/screen px")
        else:
            self.place.setText(f"{words} · 1 : {pixels:.3g}")

    def _on_map(self, x: float, y: float) -> None:
        if self._session.layer is not None:
            look_at_location(self._viewer, self._session.layer, x, y)

    def go(self) -> None:
        """Go to the place that was typed."""
        slide, layer = self._display.slide, self._session.layer
        if slide is None or layer is None or not self.go_to.text().strip():
            return
        try:
            x, y = parse_location(self.go_to.text(), slide.mpp, slide.dimensions)
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit("", True)
        if screen_pixels(self._viewer, layer) > _NEAR_PIXELS:
            set_screen_pixels(self._viewer, layer, 1.0)
        look_at_location(self._viewer, layer, x, y)

    def show_whole(self) -> None:
        """Show all of the slide."""
        self._viewer.reset_view()

    def show_full_size(self) -> None:
        """Show one pixel of level 0 for each pixel of the screen."""
        if self._session.layer is not None:
            set_screen_pixels(self._viewer, self._session.layer, 1.0)
