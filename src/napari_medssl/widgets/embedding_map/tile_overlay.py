"""The tiles of the slide in front in the colours of the map: those selected stand out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_medssl.backend.map_pictures import TilePictures
from napari_medssl.backend.tile_colors import TileGrid, grid_of, paint_tiles
from napari_medssl.widgets.embedding_map.session import MapSession
from napari_medssl.widgets.similar.slide_places import ShownSlide, SlidePlaces

LAYER_NAME = "map on slide"
_LATER_MS = 60


class TileOverlay(QObject):
    """Keeps one image layer over the slide in front, a pixel a tile.

    With a selection only its tiles have colours; without one all tiles that are shown have.
    """

    def __init__(
        self, viewer: Any, session: MapSession, places: SlidePlaces, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._places = places
        self.layer: Any = None
        self._grid: tuple[str, NDArray[np.int64], TileGrid] | None = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER_MS)
        self._later.timeout.connect(self._draw)
        for signal in (session.colors_changed, session.shown_changed, session.opened):
            signal.connect(self.draw_later)
        session.selection_changed.connect(self.draw_later)
        session.picked_changed.connect(self.draw_later)
        places.front_changed.connect(self.draw_later)

    def draw_later(self, _source: object = None) -> None:
        """Draw in a moment, once for many changes."""
        self._later.start()

    def close(self) -> None:
        """Take the layer away."""
        self._later.stop()
        self._remove()

    def _draw(self) -> None:
        front, source = self._places.front, self._session.source
        pictures = None if source is None else source.pictures
        if front is None or not isinstance(pictures, TilePictures):
            self._remove()
            return
        known = self._grid_of(front, pictures)
        if known is None:
            self._remove()
            return
        rows, grid = known
        session = self._session
        selected = session.selection.mask[rows] | session.picked.mask[rows]
        is_lit = selected if len(session.selection) else selected | session.shown[rows]
        pixels = paint_tiles(grid, session.colors[rows], is_lit, selected)
        self._show(front, grid, pixels)

    def _grid_of(
        self, front: ShownSlide, pictures: TilePictures
    ) -> tuple[NDArray[np.int64], TileGrid] | None:
        if self._grid is None or self._grid[0] != front.fingerprint:
            prints = [slide.fingerprint for slide in pictures.slides]
            if front.fingerprint not in prints:
                return None
            rows = np.flatnonzero(pictures.numbers == prints.index(front.fingerprint))
            if not len(rows):
                return None
            grid = grid_of(pictures.locations[rows], pictures.sizes[rows])
            self._grid = (front.fingerprint, rows, grid)
        return self._grid[1], self._grid[2]

    def _show(self, front: ShownSlide, grid: TileGrid, pixels: NDArray[np.uint8]) -> None:
        scale = [float(one) for one in front.layer.scale[-2:]]
        # napari places the middle of a pixel, a location counts from the corner of the slide.
        translate = [
            one * (place + grid.step / 2 - 0.5)
            for one, place in zip(scale, grid.corner[::-1], strict=True)
        ]
        layers = self._viewer.layers
        if self.layer is not None and self.layer in layers:
            self.layer.data = pixels
            self.layer.scale = [one * grid.step for one in scale]
            self.layer.translate = translate
            return
        active = layers.selection.active
        self.layer = self._viewer.add_image(
            pixels,
            rgb=True,
            name=LAYER_NAME,
            scale=[one * grid.step for one in scale],
            translate=translate,
            units=front.layer.units,
            blending="translucent",
            interpolation2d="nearest",
            metadata={"medssl": {"kind": "map on slide"}},
        )
        if active is not None and active in layers:
            layers.selection.active = active

    def _remove(self) -> None:
        layer, self.layer = self.layer, None
        self._grid = None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
