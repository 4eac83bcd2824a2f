"""Fly to a tile: open its slide if it is not in the window, put it in front, centre the tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.open_slides import find_slide
from napari_medssl.io.slides.layer_data import LayerData, slide_layer
from napari_medssl.state.search_examples import Area
from napari_medssl.widgets._live import LiveRequests
from napari_medssl.widgets.similar.slide_places import ShownSlide, SlidePlaces
from napari_medssl.widgets.slides.camera import look_at_location
from napari_medssl.widgets.slides.widget import SlidesWidget

_PART = 0.35  # of the canvas that a tile takes
_WARM_PIXELS = 6_000_000


class FlyTo(QObject):
    """Puts areas of slides in front, one at a time; the request that came last counts.

    Signals
    -------
    arrived
        The `Area` that is in the middle now.
    failed
        Why a slide cannot be opened.
    """

    arrived = Signal(object)
    failed = Signal(str)

    def __init__(self, viewer: Any, places: SlidePlaces, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._places = places
        self._area: Area | None = None  # where to, once its slide is there
        self._slides: SlidesWidget | None = None
        self._own: Any = None  # the layer of the slide that was opened here
        self._requests = LiveRequests(self)
        self._requests.ready.connect(self._take)
        self._requests.failed.connect(self._refuse)

    @property
    def is_opening(self) -> bool:
        """True until the slide of the last area is there."""
        return self._area is not None

    def close(self) -> None:
        """Stop the thread."""
        self._requests.close()
        self._follow(None)

    def fly(self, area: Area) -> None:
        """Go to an area; its slide is opened in a thread."""
        self._area = area
        view = view_of(area, self._viewer.canvas.size)
        shown = next((s for s in self._places.shown() if s.fingerprint == area.slide), None)
        if shown is not None:
            self._requests.submit(_look_ahead, shown.layer.data, view)
        else:
            self._requests.submit(_open, area.slide, self._places.candidates(area.slide), view)

    def _take(self, opened: tuple[str, LayerData] | None) -> None:
        """Show a slide that was opened: in the widget "Slides" if that is there."""
        if self._area is None:
            return
        if opened is None:
            area = self._area
            self._on_shown()
            if self.is_opening:
                self.fly(area)  # its layer was removed meanwhile: it is opened again
            return
        source, data = opened
        slides = self._places.slides()
        if slides is None:
            self._put(data)
            return
        # It opens the file itself, which is warm by now.
        data[0][0].slide.close()
        self._follow(slides)
        sources = slides.session.library.sources()
        key = sources.get(source)
        if key is None:
            (key,) = slides.files.add_sources([source])
        slides.open_slide(key)

    def _put(self, data: LayerData) -> None:
        levels, options, _ = data
        former, self._own = self._own, None
        if former is not None and former in self._viewer.layers:
            self._viewer.layers.remove(former)
        layer = self._viewer.add_image(levels, **options)
        self._viewer.layers.move(self._viewer.layers.index(layer), 0)
        self._own = layer
        self._name(layer)
        self._viewer.canvas.overlays.scale_bar.visible = True
        self._on_shown()

    def _name(self, layer: Any) -> None:
        if self._area is not None:
            layer.name = self._places.title(self._area.slide)

    def _follow(self, slides: SlidesWidget | None) -> None:
        if slides is self._slides:
            return
        if self._slides is not None:
            self._slides.display.shown.disconnect(self._on_shown)
            self._slides.display.failed.disconnect(self._refuse)
        self._slides = slides
        if slides is not None:
            slides.display.shown.connect(self._on_shown)
            slides.display.failed.connect(self._refuse)

    def _on_shown(self) -> None:
        if self._area is None:
            return
        for shown in self._places.shown():
            if shown.fingerprint == self._area.slide:
                self._arrive(shown)
                return

    def _refuse(self, text: str) -> None:
        if self._area is not None:
            self._area = None
            self.failed.emit(text)

    def _arrive(self, shown: ShownSlide) -> None:
        area, self._area = self._area, None
        if area is None:
            return
        for other in self._places.shown():
            if other.layer is not shown.layer:
                other.layer.visible = False
        show_area(self._viewer, shown, area)
        shown.layer.visible = True  # now, not before: it would read where the camera was
        self._viewer.layers.selection.active = shown.layer
        self.arrived.emit(area)


def show_area(viewer: Any, shown: ShownSlide, area: Area) -> None:
    """Centre an area and zoom so that it takes about a third of the canvas."""
    layer = shown.layer
    side = max(area.width * abs(float(layer.scale[-1])), area.height * abs(float(layer.scale[-2])))
    viewer.scene.camera.zoom = _PART * min(viewer.canvas.size) / side
    look_at_location(viewer, layer, *area.middle)


View = tuple[float, float, float, float, float]
"""A rectangle `(x, y, width, height)` at level 0, and level-0 pixels per pixel of the screen."""


def view_of(area: Area, canvas: tuple[int, int]) -> View:
    """Return what a canvas (height, width) shows once it has flown to an area."""
    pixels = max(area.width, area.height) / (_PART * min(canvas))
    x, y = area.middle
    width, height = canvas[1] * pixels, canvas[0] * pixels
    return x - width / 2, y - height / 2, width, height, pixels


def _look_ahead(levels: Any, view: View, *, should_stop: Callable[[], bool]) -> None:
    """Read what will be seen, so that the window does not wait: tiles stay in the shared cache."""
    x, y, width, height, pixels = view
    for level in levels:
        down = levels[0].shape[0] / level.shape[0]
        is_seen = pixels / 2 <= down <= 2 * pixels
        if not is_seen and not (level is levels[0] and pixels < 1):
            continue
        if should_stop():
            raise Cancelled
        rows, columns = (
            slice(max(0, int(start / down)), max(1, int((start + length) / down) + 1))
            for start, length in ((y, height), (x, width))
        )
        _ = level[rows, columns]


def _open(
    fingerprint: str, candidates: Sequence[str], view: View, *, should_stop: Callable[[], bool]
) -> tuple[str, LayerData]:
    """Open a slide and read what the first views show, so that the window does not wait."""
    slide = find_slide(fingerprint, candidates)
    try:
        data = slide_layer(slide)
        for level in reversed(data[0]):
            if should_stop():
                raise Cancelled
            if level.shape[0] * level.shape[1] > _WARM_PIXELS:
                break
            _ = level[:]
        _look_ahead(data[0], view, should_stop=should_stop)
    except BaseException:
        slide.close()
        raise
    return slide.source, data
