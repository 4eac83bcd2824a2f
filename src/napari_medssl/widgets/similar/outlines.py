"""Outlines on the slide in front: the examples that lie on it, and the hit that was flown to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_medssl.state.search_examples import Area
from napari_medssl.widgets.similar.slide_places import ShownSlide
from napari_medssl.widgets.slides.camera import screen_pixels

LAYER_NAME = "similar tiles"
WANTED, UNWANTED, HIT = "#30a46c", "#e5484d", "#ffb224"
_EDGE = 0.03  # of a tile's side
_EDGE_ON_SCREEN = 2.0
_MOST_ON_SCREEN = 5.0

Outline = tuple[Area, str]
"""An area and its colour."""


class Outlines(QObject):
    """Keeps one Shapes layer with outlines; it is made when there is something to show.

    The lines are never thinner than two pixels of the screen, and never thicker than five.
    """

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._shown: tuple[str, tuple[Outline, ...]] = ("", ())
        self._least = 1.0
        self.layer: Any = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(120)
        self._later.timeout.connect(self._on_zoom)
        viewer.scene.camera.events.zoom.connect(self._schedule)

    def close(self) -> None:
        """Take the layer away and listen to the viewer no more."""
        self._later.stop()
        self._viewer.scene.camera.events.zoom.disconnect(self._schedule)
        self.remove()

    def show(self, slide: ShownSlide | None, outlines: Sequence[Outline]) -> None:
        """Show the outlines that lie on the slide in front."""
        fingerprint = "" if slide is None else slide.fingerprint
        found = tuple(one for one in outlines if one[0].slide == fingerprint)
        is_there = self.layer is not None and self.layer in self._viewer.layers
        if (fingerprint, found) == self._shown and (is_there or not found):
            return
        if not found or slide is None:
            self.remove()
        else:
            if not is_there:
                self._make(slide)
            elif self._shown[0] != fingerprint:
                self.layer.scale, self.layer.units = slide.layer.scale, slide.layer.units
            self._fill(found)
        self._shown = (fingerprint, found)

    def remove(self) -> None:
        """Take the layer away."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        self._shown = ("", ())

    def _make(self, slide: ShownSlide) -> None:
        selected = self._viewer.layers.selection.active
        self.layer = self._viewer.add_shapes(
            ndim=2,
            name=LAYER_NAME,
            scale=slide.layer.scale,
            units=slide.layer.units,
            opacity=1.0,
            metadata={"medssl": {"kind": "similar tiles"}},
        )
        if selected is not None and selected in self._viewer.layers:
            self._viewer.layers.selection.active = selected

    def _fill(self, outlines: Sequence[Outline]) -> None:
        layer = self.layer
        layer.selected_data = set()
        layer.data = []
        self._least = _EDGE * min(min(area.width, area.height) for area, _ in outlines)
        layer.add(
            [rectangle_corners(area) for area, _ in outlines],
            shape_type="rectangle",
            edge_width=self._width(),
            edge_color=[color for _, color in outlines],
            face_color="transparent",
        )
        layer.selected_data = set()

    def _width(self) -> float:
        pixel = screen_pixels(self._viewer, self.layer)
        # A large box seen from near would be framed by a beam.
        return max(min(self._least, _MOST_ON_SCREEN * pixel), _EDGE_ON_SCREEN * pixel)

    def _schedule(self, _event: Any = None) -> None:
        if self.layer is not None:
            self._later.start()

    def _on_zoom(self) -> None:
        layer = self.layer
        if layer is not None and layer in self._viewer.layers and layer.nshapes:
            width = self._width()
            if abs(layer.edge_width[0] - width) > 0.05 * width:
                layer.edge_width = [width] * layer.nshapes


def rectangle_corners(area: Area) -> np.ndarray:
    """Return the corners `(y, x)` of an area in the coordinates of its slide's layer, (4, 2)."""
    # napari counts from the middle of the first pixel, locations from its corner.
    x0, y0 = area.x - 0.5, area.y - 0.5
    x1, y1 = x0 + area.width, y0 + area.height
    return np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)])
