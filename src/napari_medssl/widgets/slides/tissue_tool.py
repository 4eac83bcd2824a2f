"""Find the tissue of the slide in front, as a mask to paint in and as a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop
from napari_medssl.io.geojson.feature import Feature, Roi
from napari_medssl.io.outlines import mask_outline
from napari_medssl.io.slide_tissue import SlideTissue, find_tissue
from napari_medssl.io.slides.protocol import Slide
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets.slides.display import SlideDisplay
from napari_medssl.widgets.slides.region_session import RegionSession
from napari_medssl.widgets.slides.session import SlidesSession

LAYER_NAME = "tissue"
_COLOR = (0.0, 0.62, 0.45, 1.0)


@dataclass(frozen=True)
class _Found:
    slide: Slide
    tissue: SlideTissue


def _find(slide: Slide, *, on_progress: OnProgress, should_stop: ShouldStop) -> _Found:
    on_progress(Progress(0, None, "Looking for tissue"))
    mpp = None if slide.mpp is None else (slide.mpp[0] + slide.mpp[1]) / 2
    found = find_tissue(slide, mpp, should_stop=should_stop)
    if should_stop():
        raise Cancelled
    return _Found(slide, found)


def _colormap() -> Any:
    """Return the colour of tissue; a dictionary of colours would cost napari a second."""
    from napari.utils.colormaps import CyclicLabelColormap

    return CyclicLabelColormap(colors=np.array([(0, 0, 0, 0), _COLOR]))


class TissueTool(QObject):
    """Makes the mask in a thread; it is an ordinary Labels layer, to be corrected with the brush.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self,
        viewer: Any,
        slides: SlidesSession,
        display: SlideDisplay,
        session: RegionSession,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._slides = slides
        self._display = display
        self._session = session
        self._downsample = 1.0
        self.layer: Any = None
        self.jobs = JobPanel(parent)
        self.jobs.done.connect(self._show)
        slides.current_changed.connect(self._on_current)

    @property
    def has_mask(self) -> bool:
        """Whether a mask of the slide in front is shown."""
        return self.layer is not None and self.layer in self._viewer.layers

    def find(self) -> None:
        """Look for tissue in the slide in front."""
        slide = self._display.slide
        if slide is None or self.jobs.is_busy:
            return
        self.jobs.start(_find, slide, title="Looking for tissue")

    def make_region(self) -> None:
        """Add the outline of the mask as a region of the class "Tissue"."""
        if not self.has_mask:
            self.told.emit("There is no tissue mask yet. Find the tissue first.", True)
            return
        try:
            shape = mask_outline(np.asarray(self.layer.data), self._downsample)
            feature = Feature(Roi(shape), class_name="Tissue", class_color=(0, 158, 115))
            self._session.add([feature], "tissue as region")
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit("The tissue is a region now.", False)

    def _show(self, found: _Found) -> None:
        if found.slide is not self._display.slide or self._slides.layer is None:
            return  # another slide is in front by now
        self._take_off()
        tissue, shown = found.tissue, self._slides.layer
        self._downsample = tissue.downsample
        scale = [float(s) * tissue.downsample for s in shown.scale]
        # The first pixel of the mask lies over the first `downsample` pixels of the slide.
        shift = [float(s) * (tissue.downsample - 1) / 2 for s in shown.scale]
        front = self._viewer.layers.selection.active
        self.layer = self._viewer.add_labels(
            tissue.mask.astype(np.uint8),
            name=LAYER_NAME,
            scale=scale,
            translate=shift,
            units=shown.units,
            opacity=0.3,
            colormap=_colormap(),
            metadata={"medssl": {"kind": "tissue", "downsample": tissue.downsample}},
        )
        layers = self._viewer.layers
        layers.move(layers.index(self.layer), layers.index(shown) + 1)  # regions stay on top
        if front is not None and front in self._viewer.layers:
            self._viewer.layers.selection.active = front
        part = 100 * float(tissue.mask.mean())
        words = f"{part:.0f} % of the slide is tissue. Select the layer 'tissue' to correct it."
        if tissue.failures:
            words += f" {len(tissue.failures)} places cannot be read and count as glass."
        self.told.emit(words, False)

    def _on_current(self) -> None:
        self.jobs.cancel()
        self._take_off()

    def _take_off(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
