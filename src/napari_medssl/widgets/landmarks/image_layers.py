"""The images of the set on the canvas, side by side, in layers that are used again."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.jobs import Cancelled, error_text
from napari_medssl.io.images import read_image
from napari_medssl.state.landmarks import LandmarkStore
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.landmarks.mosaic import Mosaic, Size, page_of
from napari_medssl.widgets.landmarks.session import LandmarkSession

KIND = "landmark image"
_MOST_KEPT = 48
_UNREAD: Size = (512, 512)
_ZOOM_ROOM = 0.9


class ImageLayers(QObject):
    """Shows the template and a page of other images: the page that holds the image in front.

    Signals
    -------
    moved
        The images lie otherwise, or others are shown.
    failed
        Why an image cannot be shown.
    made
        A layer was made.
    """

    moved = Signal()
    failed = Signal(str)
    made = Signal(object)

    def __init__(self, viewer: Any, session: LandmarkSession, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self.background = Background("medssl-landmark-read", self)
        self.mosaic = Mosaic()
        self.page_size = 8
        self.layers: list[Any] = []
        self._page: list[int] = []
        self._pixels: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._bad: set[int] = set()
        self._shown: list[tuple[int, object]] = []
        self._reading: int | None = None
        self._must_fit = True
        session.set_changed.connect(self._on_set)
        session.list_changed.connect(self.refresh)
        session.front_changed.connect(self.refresh)
        session.current_changed.connect(self._on_current)

    @property
    def shown(self) -> tuple[int, ...]:
        """Ids of the images on the canvas, the template first."""
        return tuple(self._page)

    @property
    def is_reading(self) -> bool:
        """True while images are read."""
        return self._reading is not None

    def set_page_size(self, count: int) -> None:
        """Show so many images beside the template."""
        if count != self.page_size:
            self.page_size = count
            self._must_fit = True
            self.refresh()

    def refresh(self, *_: object) -> None:
        """Show the page that holds the image in front."""
        session = self._session
        page = page_of(session.store.images(), session.front, session.image, self.page_size)
        if page != self._page:
            self._page = page
        self._lay_out()
        self._read_next()

    def _on_current(self) -> None:
        self.refresh()
        current = self._session.current
        if current is None or self._must_fit:
            return
        place = self._session.store.point(*current).place
        if not self._is_in_view(current[0], place):
            self.look_at(current[0], place, zoom=False)

    def _is_in_view(self, image: int, place: tuple[float, float] | None) -> bool:
        """Whether a place of an image, by default its middle, is on the canvas as it is now."""
        spot = self.mosaic.spots.get(image)
        if spot is None:
            return True
        camera = self._viewer.scene.camera
        high, wide = self._viewer.canvas.size
        y, x = spot.middle if place is None else spot.to_world(place)
        is_across = abs(x - camera.center[-1]) * camera.zoom < wide / 2
        return bool(is_across and abs(y - camera.center[-2]) * camera.zoom < high / 2)

    def fit(self) -> None:
        """Let the camera show all images."""
        if self.mosaic.spots:
            self._viewer.reset_view()

    def look_at(self, image: int, place: tuple[float, float] | None = None, *, zoom: bool) -> None:
        """Move the camera to an image or a place in it.

        Parameters
        ----------
        image
            Id; nothing happens if it is not on the canvas.
        place
            `(x, y)` in pixels; the middle by default.
        zoom
            Whether to fill the canvas with the image, else the zoom stays.
        """
        spot = self.mosaic.spots.get(image)
        if spot is None:
            return
        camera = self._viewer.scene.camera
        y, x = spot.middle if place is None else spot.to_world(place)
        camera.center = (*camera.center[:-2], y, x)
        if zoom:
            high, wide = self._viewer.canvas.size
            across, down = spot.width * spot.scale, spot.height * spot.scale
            camera.zoom = _ZOOM_ROOM * min(wide / across, high / down)

    def close(self) -> None:
        """Stop the thread and take the layers away."""
        self.background.close()
        layers, self.layers = self.layers, []
        for layer in layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    # -- reading ---------------------------------------------------------------------------------

    def _on_set(self) -> None:
        self.background.drop("read")
        self._reading = None
        self._pixels.clear()
        self._bad.clear()
        self._shown = []
        self._must_fit = True
        self.refresh()

    def _read_next(self) -> None:
        if self._reading is not None:
            return
        wanted = [key for key in self._page if key not in self._pixels and key not in self._bad]
        if not wanted:
            return
        self._reading = key = wanted[0]
        store = self._session.store
        work = partial(read_image, store.image(key).ref, robust=True)
        self.background.submit(
            "read", work, partial(self._on_read, store, key), partial(self._on_bad, store, key)
        )

    def _on_read(self, store: LandmarkStore, image: int, pixels: NDArray[np.uint8]) -> None:
        self._reading = None
        if store is self._session.store and image in store:
            self._pixels[image] = pixels
            while len(self._pixels) > max(_MOST_KEPT, self.page_size + 1):
                self._pixels.popitem(last=False)
            store.note_size(image, pixels.shape[1], pixels.shape[0])
            self._lay_out()
        self._read_next()

    def _on_bad(self, store: LandmarkStore, image: int, error: BaseException) -> None:
        self._reading = None
        if store is self._session.store and not isinstance(error, Cancelled):
            self._bad.add(image)
            self._session.note_problem(image, error_text(error))
            self.failed.emit(error_text(error))
        self._read_next()

    # -- layers ----------------------------------------------------------------------------------

    def _size(self, image: int) -> Size:
        known = self._pixels.get(image)
        if known is not None:
            return known.shape[1], known.shape[0]
        item = self._session.store.image(image)
        return (item.width, item.height) if item.width and item.height else _UNREAD

    def _lay_out(self) -> None:
        store = self._session.store
        self._page = [key for key in self._page if key in store]
        mosaic = Mosaic(self._session.front, {key: self._size(key) for key in self._page})
        has_moved = mosaic.spots != self.mosaic.spots or mosaic.front != self.mosaic.front
        self.mosaic = mosaic
        ready = [key for key in self._page if key in self._pixels]
        self.layers = [layer for layer in self.layers if layer in self._viewer.layers]
        for at, image in enumerate(ready):
            self._put(at, image)
        for layer in self.layers[len(ready) :]:
            layer.visible = False
        if has_moved:
            self.moved.emit()
        if self._must_fit and ready and len(ready) == len(set(self._page) - self._bad):
            self._must_fit = False
            self.fit()

    def _put(self, at: int, image: int) -> None:
        pixels, spot = self._pixels[image], self.mosaic.spots[image]
        name = self._session.store.image(image).name
        placed = {"scale": (spot.scale, spot.scale), "translate": (spot.top, spot.left)}
        if at >= len(self.layers):
            self._make(pixels, name, placed)
            return
        layer = self.layers[at]
        if layer.data is not pixels:
            layer.data = pixels
        for key, value in placed.items():
            if tuple(getattr(layer, key)) != value:
                setattr(layer, key, value)
        if layer.name != name:
            layer.name = name
        if not layer.visible:
            layer.visible = True

    def _make(self, pixels: NDArray[np.uint8], name: str, placed: dict[str, Any]) -> None:
        layers = self._viewer.layers
        active = layers.selection.active
        layer = self._viewer.add_image(
            pixels, rgb=True, name=name, metadata={"medssl": {"kind": KIND}}, **placed
        )
        # Below points and maps: those have to be seen.
        target = layers.index(self.layers[-1]) + 1 if self.layers else 0
        if layers.index(layer) != target:
            layers.move(layers.index(layer), target)
        self.layers.append(layer)
        if active is not None and active in layers:
            layers.selection.active = active
        self.made.emit(layer)
