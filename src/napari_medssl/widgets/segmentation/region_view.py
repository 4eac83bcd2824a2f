"""The action "Regions": which of the K regions of a model each part of the image belongs to."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import once_more
from napari_medssl.backend.jobs import ShouldStop
from napari_medssl.backend.region_maps import RegionMap
from napari_medssl.state.mask_items import MaskImage
from napari_medssl.widgets._live import LiveRequests
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.segmentation.colors import label_colors
from napari_medssl.widgets.segmentation.engine import Engine
from napari_medssl.widgets.segmentation.layer_places import place_of, put_at
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.model_choice import ModelChoice
from napari_medssl.widgets.segmentation.part import Part
from napari_medssl.widgets.segmentation.session import MaskSession

KIND = "regions"
_MOST_KEPT = 12
_log = logging.getLogger(__name__)


class RegionView(Part):
    """Shows the regions of the image in front, while it is switched on.

    Signals
    -------
    switched
        Whether regions are shown from now on.
    """

    what: ClassVar[str] = "regions"
    switched = Signal(bool)

    def __init__(
        self,
        viewer: Any,
        session: MaskSession,
        layers: MaskLayers,
        model: ModelChoice,
        engine: Engine,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._session, self._layers = viewer, session, layers
        self._model, self._engine = model, engine
        self._layer: Any = None
        self._known: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._wanted: tuple[str, str] | None = None
        self.is_on = False
        self._requests = LiveRequests(self)
        self._requests.ready.connect(self._on_ready)
        self._requests.failed.connect(self._on_failed)
        layers.shown.connect(self._show)
        layers.placed.connect(self._put_again)
        model.changed.connect(self._show)
        session.set_changed.connect(self._on_set)

    @property
    def is_busy(self) -> bool:
        """True while regions are looked for."""
        return self._wanted is not None

    @property
    def layer(self) -> Any:
        """The Labels layer of the regions, None while there is none."""
        return self._layer if self._layer in self._viewer.layers else None

    def switch(self, is_on: bool) -> None:
        """Show the regions of the image in front, and of others that come there; or hide them."""
        try:
            if is_on:
                self._session.checked_image()
                self._model.checked_name()
        except UserError as error:
            self._refuse(error)
            is_on = False
        self.is_on = is_on
        self.switched.emit(is_on)
        if is_on:
            self._show()
        else:
            self._hide()

    def forget(self) -> None:
        """Look for all regions anew: a model may have been trained again under its name."""
        self._known.clear()
        self._show()

    def close(self) -> None:
        """Stop what runs and take the layer away."""
        self._requests.close()
        self._take_away()

    # -- inside ----------------------------------------------------------------------------------

    def _on_set(self) -> None:
        self._hide()
        self._take_away()  # of an image that is closed: its units may be others

    def _take_away(self) -> None:
        layer, self._layer = self.layer, None
        if layer is not None:
            self._viewer.layers.remove(layer)

    def _hide(self) -> None:
        self._requests.drop()
        is_said = self._wanted is not None
        self._wanted = None
        if self.layer is not None and self.layer.visible:
            self.layer.visible, is_said = False, True
        if is_said:
            self.told.emit("", False)  # what was said of them

    def _show(self) -> None:
        image = self._session.item
        if not self.is_on or image is None or self._layers.front is None:
            return
        key = (self._model.name, image.source)
        if key in self._known:
            self._known.move_to_end(key)
            self._put(self._known[key])
            return
        self._hide()
        self._wanted = key
        self.told.emit(f"Looking for the {self.what} of {image.name} ...", False)
        self._requests.submit(self._work(key))

    def _work(self, key: tuple[str, str]) -> Callable[..., Any]:
        """Return what finds the map of a model and an image, off the GUI thread."""
        return partial(_find, self._engine, key, read_settings().device)

    def _on_ready(self, found: tuple[tuple[str, str], Any]) -> None:
        key, regions = found
        self._wanted = None
        self._known[key] = regions
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        image = self._session.item
        if self.is_on and image is not None and key == (self._model.name, image.source):
            self._put(regions)

    def _on_failed(self, text: str) -> None:
        self._wanted = None
        self.switch(is_on=False)
        self.told.emit(text, True)

    def _put(self, regions: Any) -> None:
        """Show a map that was found."""
        image = self._session.item
        assert image is not None  # asked before
        layers = self._viewer.layers
        active = layers.selection.active
        layer = self.layer
        name = f"{image.name} regions"
        if layer is None or layer.data.dtype != regions.regions.dtype:
            if layer is not None:
                layers.remove(layer)
            layer = self._viewer.add_labels(
                regions.regions,
                name=name,
                opacity=0.45,
                colormap=label_colors(max(255, len(regions.names))),
                metadata={"medssl": {"kind": KIND}},
                **place_of(image, self._viewer),
            )
            self._layer = layer
        else:
            layer.data = regions.regions
        layer.name = name
        layer.features = {
            "index": list(range(len(regions.names) + 1)),
            "region": ["", *regions.names],
        }
        layer.editable = False
        layer.visible = True
        self._place(layer, image, active)
        self.told.emit(
            f"{len(regions.names)} regions of {regions.model}; a colour means the same region in "
            "every image. Rest the mouse on one to read its name.",
            False,
        )

    def _put_again(self) -> None:
        """Put the layer in the units of all others, shown or not: napari warns of others."""
        layer, image = self.layer, self._session.item
        if layer is not None and image is not None:
            put_at(layer, place_of(image, self._viewer))

    def _place(self, layer: Any, image: MaskImage, active: Any) -> None:
        """Put a layer above its image and below the mask, which a person may be painting."""
        layers = self._viewer.layers
        put_at(layer, place_of(image, self._viewer))
        mask = self._layers.layer(self._session.image)
        if mask is not None:
            layers.move(layers.index(layer), layers.index(mask))
        if active is not None and active in layers:
            layers.selection.active = active


def _find(
    engine: Engine, key: tuple[str, str], device: str, *, should_stop: ShouldStop
) -> tuple[tuple[str, str], RegionMap]:
    model, source = key
    work = partial(engine.regions, model, device, source, should_stop)
    return key, once_more(work, partial(_log.warning, "the compute process ended under %s", source))
