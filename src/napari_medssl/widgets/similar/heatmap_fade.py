"""Let a heatmap fade as one comes near: a tile that fills the canvas is to be seen, not tinted."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

MOST_OPACITY, _LEAST_OPACITY = 0.55, 0.1
_FAR, _NEAR = 24.0, 120.0  # pixels of the screen that a cell takes
_LATER_MS = 60


class HeatmapFade(QObject):
    """Sets the opacity of a layer by the zoom, until a person sets it."""

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Any = None
        self._set = MOST_OPACITY
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER_MS)
        self._later.timeout.connect(self.update_opacity)
        viewer.scene.camera.events.zoom.connect(self._on_zoom)

    def follow(self, layer: Any) -> None:
        """Set the opacity of this layer from now on."""
        self._layer, self._set = layer, float(layer.opacity)
        self.update_opacity()

    def close(self) -> None:
        """Listen to the viewer no more."""
        self._later.stop()
        self._layer = None
        self._viewer.scene.camera.events.zoom.disconnect(self._on_zoom)

    def update_opacity(self) -> None:
        """Set the opacity that belongs to the zoom."""
        layer = self._layer
        if layer is None or not np.isclose(layer.opacity, self._set):
            return
        cell = abs(float(layer.scale[-1])) * float(self._viewer.scene.camera.zoom)
        opacity = float(np.interp(cell, (_FAR, _NEAR), (MOST_OPACITY, _LEAST_OPACITY)))
        if opacity != self._set:
            self._set = layer.opacity = opacity

    def _on_zoom(self, _event: Any = None) -> None:
        if self._layer is not None:
            self._later.start()
