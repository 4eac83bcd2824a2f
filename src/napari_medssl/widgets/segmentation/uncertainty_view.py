"""The action "Uncertainty": how undecided the model is about each pixel of the image in front."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.compute_process import once_more
from napari_medssl.backend.jobs import ShouldStop
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.segmentation.engine import Engine
from napari_medssl.widgets.segmentation.layer_places import place_of
from napari_medssl.widgets.segmentation.region_view import RegionView

UNCERTAINTY_KIND = "uncertainty"
_log = logging.getLogger(__name__)


class UncertaintyView(RegionView):
    """Shows where the model does not know, while it is switched on; parameters as of `RegionView`.

    The map is the entropy of the shares of classes, 0 where one has all, 1 where all are equal.
    """

    what: ClassVar[str] = "uncertainty"

    def _work(self, key: tuple[str, str]) -> Callable[..., Any]:
        return partial(_find, self._engine, key, read_settings().device)

    def _put(self, found: NDArray[np.float32]) -> None:
        image = self._session.item
        assert image is not None  # asked before
        layers, layer = self._viewer.layers, self.layer
        active = layers.selection.active
        name = f"{image.name} uncertainty"
        if layer is None:
            layer = self._layer = self._viewer.add_image(
                found,
                name=name,
                colormap="magma",
                blending="translucent",
                opacity=0.7,
                contrast_limits=(0.0, 1.0),
                metadata={"medssl": {"kind": UNCERTAINTY_KIND}},
                **place_of(image, self._viewer),
            )
        else:
            layer.data = found
        layer.name, layer.visible = name, True
        self._place(layer, image, active)
        self.told.emit(
            "Bright is where the model does not know: 1 in the status bar is no better than "
            "guessing.",
            False,
        )


def _find(
    engine: Engine, key: tuple[str, str], device: str, *, should_stop: ShouldStop
) -> tuple[tuple[str, str], NDArray[np.float32]]:
    model, source = key
    config = SegmentConfig(model=model, device=device)
    work = partial(engine.uncertainty, config, source, should_stop)
    return key, once_more(work, partial(_log.warning, "the compute process ended under %s", source))
