"""How like the landmark in front each part of the images looks, as layers over them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.jobs import Cancelled, error_text
from napari_medssl.backend.landmark_values import SimilarityPicture
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.landmarks.image_layers import ImageLayers
from napari_medssl.widgets.landmarks.matching import Matching
from napari_medssl.widgets.landmarks.session import LandmarkSession

KIND = "landmark similarity"
_LAYER_NAME = "similarity"


class SimilarityMaps(QObject):
    """Keeps a layer for every image on the canvas while it is switched on.

    Signals
    -------
    failed
        Why there is none.
    """

    failed = Signal(str)

    def __init__(
        self,
        viewer: Any,
        session: LandmarkSession,
        images: ImageLayers,
        matching: Matching,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._images = images
        self._matching = matching
        self.background = Background("medssl-landmark-maps", self)
        self.is_on = False
        self.layers: dict[int, Any] = {}
        self._spare: list[Any] = []
        self._waiting: list[int] = []
        self._asked: tuple[object, ...] = ()
        images.moved.connect(self.refresh)
        session.current_changed.connect(self.refresh)
        session.templates_changed.connect(self.refresh)
        session.seen_changed.connect(self.refresh)

    def switch(self, is_on: bool) -> None:
        """Show the maps, or no more."""
        self.is_on = is_on
        self.refresh()

    @property
    def is_busy(self) -> bool:
        """True while maps are made."""
        return bool(self._waiting)

    def refresh(self, *_: object) -> None:
        """Make the maps of the landmark in front anew, if it or the images are others."""
        session = self._session
        name = session.name
        templates = [] if name is None else self._matching.templates([name])
        if not self.is_on or name is None or not templates:
            self._hide()
            return
        own = {template.key for template in templates}
        shown = [
            key for key in self._images.shown
            if key in session.seen and session.seen[key].key not in own
        ]  # fmt: skip
        points = tuple((t.key, *sorted(t.points.items())) for t in templates)
        spots = tuple(self._images.mosaic.spots.get(key) for key in shown)
        asked = (name, points, tuple(shown), spots)
        if asked == self._asked:
            return
        self._asked = asked
        for key in [key for key in self.layers if key not in shown]:
            self._put_away(key)
        self._waiting = shown
        self._make_next()

    def close(self) -> None:
        """Stop the thread and take the layers away."""
        self.background.close()
        for layer in [*self.layers.values(), *self._spare]:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self.layers, self._spare = {}, []

    def _hide(self) -> None:
        self._asked = ()
        self._waiting = []
        self.background.drop("map")
        for key in list(self.layers):
            self._put_away(key)

    def _put_away(self, image: int) -> None:
        layer = self.layers.pop(image)
        if layer in self._viewer.layers:
            layer.visible = False
            self._spare.append(layer)

    def _make_next(self) -> None:
        session = self._session
        if not self._waiting or session.name is None:
            return
        image = self._waiting[0]
        if image not in session.seen:
            self._waiting.pop(0)
            self._make_next()
            return
        templates = self._matching.templates([session.name])
        label = session.store.name(session.name).name
        work = partial(self._matching.engine.picture, templates, session.seen[image].key, label)
        done = partial(self._take, image, self._asked)
        self.background.submit("map", work, done, self._refuse)

    def _take(self, image: int, asked: tuple[object, ...], made: SimilarityPicture | None) -> None:
        if asked != self._asked:
            return
        self._waiting = [key for key in self._waiting if key != image]
        spot = self._images.mosaic.spots.get(image)
        if made is not None and spot is not None:
            y, x = spot.to_world(made.first)
            values = np.asarray(made.values, np.float32)
            self._put(
                image,
                values,
                (made.step[1] * spot.scale, made.step[0] * spot.scale),
                (y, x),
            )
        self._make_next()

    def _put(
        self,
        image: int,
        values: Any,
        scale: tuple[float, float],
        translate: tuple[float, float],
    ) -> None:
        limits = _limits(values)
        layer = self.layers.get(image)
        if layer is None or layer not in self._viewer.layers:
            layer = self._spare.pop() if self._spare else None
        if layer is None or layer not in self._viewer.layers:
            self.layers[image] = self._make(values, scale, translate, limits)
            return
        self.layers[image] = layer
        layer.data = values
        layer.scale, layer.translate = scale, translate
        layer.contrast_limits = limits
        layer.visible = True

    def _make(self, values: Any, scale: Any, translate: Any, limits: Any) -> Any:
        layers = self._viewer.layers
        active = layers.selection.active
        layer = self._viewer.add_image(
            values,
            name=_LAYER_NAME,
            scale=scale,
            translate=translate,
            colormap="viridis",
            contrast_limits=limits,
            opacity=0.5,
            blending="translucent",
            interpolation2d="linear",
            metadata={"medssl": {"kind": KIND}},
        )
        ours = [layers.index(each) for each in self._images.layers if each in layers]
        target = max(ours, default=-1) + 1
        if layers.index(layer) != target:
            layers.move(layers.index(layer), target)
        if active is not None and active in layers:
            layers.selection.active = active
        return layer

    def _refuse(self, error: BaseException) -> None:
        self._waiting = []
        if not isinstance(error, Cancelled):
            self.failed.emit(error_text(error))


def _limits(values: Any) -> tuple[float, float]:
    """Return contrast limits that leave the likeliest tenth of a map bright."""
    low, high = float(np.percentile(values, 30)), float(values.max())
    return (low, high) if high > low else (low, low + 1e-6)
