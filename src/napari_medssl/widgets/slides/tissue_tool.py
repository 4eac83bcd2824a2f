"""Find the tissue of the slide in front, as a mask to paint in and as a region."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QMessageBox, QWidget
from shapely.geometry.base import BaseGeometry

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, error_text
from napari_medssl.io.geojson.feature import Feature, Roi
from napari_medssl.io.mask_file import read_mask, write_mask
from napari_medssl.io.outlines import mask_outline
from napari_medssl.io.slide_tissue import SlideTissue, find_tissue
from napari_medssl.io.slides.protocol import Slide
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.slides.display import SlideDisplay
from napari_medssl.widgets.slides.region_session import RegionSession
from napari_medssl.widgets.slides.session import SlidesSession

LAYER_NAME = "tissue"
FILE_NAME = "tissue.png"
_COLOR = (0.0, 0.62, 0.45, 1.0)
_KEEP_EVERY_MS = 1000
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Mask:
    """A mask of a slide, where it lies, and what could not be read of the slide."""

    slide: Slide
    mask: Mask
    downsample: float
    failures: int = 0


@dataclass(frozen=True)
class _Outline:
    """The outline of a mask of a slide."""

    slide: Slide
    shape: BaseGeometry


def _find(slide: Slide, *, on_progress: OnProgress, should_stop: ShouldStop) -> _Mask:
    on_progress(Progress(0, None, "Looking for tissue"))
    mpp = None if slide.mpp is None else (slide.mpp[0] + slide.mpp[1]) / 2
    found: SlideTissue = find_tissue(slide, mpp, should_stop=should_stop)
    if should_stop():
        raise Cancelled
    return _Mask(slide, found.mask, found.downsample, len(found.failures))


def _trace(found: _Mask, *, on_progress: OnProgress, should_stop: ShouldStop) -> _Outline:
    on_progress(Progress(0, None, "Tracing the tissue"))
    shape = mask_outline(found.mask, found.downsample)
    if should_stop():
        raise Cancelled
    return _Outline(found.slide, shape)


def _colormap() -> Any:
    """Return the colour of tissue; a dictionary of colours would cost napari a second."""
    from napari.utils.colormaps import CyclicLabelColormap

    return CyclicLabelColormap(colors=np.array([(0, 0, 0, 0), _COLOR]))


class TissueTool(QObject):
    """Makes the mask in a thread; it is an ordinary Labels layer, to be corrected with the brush.

    What a person corrected is written beside the regions a moment later, and comes back with them.

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
        self._parent = parent
        self._downsample = 1.0
        self._known: Mask | None = None  # as found, or as on the disk
        self._place: Path | None = None  # where it is written
        self._is_corrected = False
        self.layer: Any = None
        self.background = Background("medssl-tissue", self)
        self.jobs = JobPanel(parent, shown=slides.masked_text, has_error_line=False)
        self.jobs.done.connect(self._on_done)
        self.jobs.failed.connect(self._on_failed)
        self._looks = QTimer(self)
        self._looks.setInterval(_KEEP_EVERY_MS)
        self._looks.timeout.connect(self.keep)
        self._looks.start()
        session.opened.connect(self._on_regions)

    def close(self) -> None:
        """Write what was corrected and stop the threads."""
        self._looks.stop()
        self.jobs.cancel()
        self.keep()
        wait_for(self.background.finish)

    @property
    def has_mask(self) -> bool:
        """Whether a mask of the slide in front is shown."""
        return self.layer is not None and self.layer in self._viewer.layers

    def find(self) -> None:
        """Look for tissue in the slide in front."""
        slide = self._display.slide
        if slide is None or self.jobs.is_busy:
            return
        self.keep()
        if not (self.has_mask and self._is_corrected) or self._may_replace():
            self.jobs.start(_find, slide, title="Looking for tissue")

    def make_region(self) -> None:
        """Add the outline of the mask as a region of the class "Tissue"."""
        if not self.has_mask or self._display.slide is None:
            self.told.emit("There is no tissue mask yet. Find the tissue first.", True)
            return
        if self.jobs.is_busy:
            return
        mask = _Mask(self._display.slide, self._painted(), self._downsample)
        self.jobs.start(_trace, mask, title="Tracing the tissue")

    def keep(self) -> None:
        """Have the mask written if it was changed by a person."""
        if not self.has_mask or self._known is None:
            return
        mask = self._painted()
        if mask.shape == self._known.shape and not np.array_equal(mask, self._known):
            self._is_corrected = True
            self._write(mask)

    def _write(self, mask: Mask) -> None:
        self._known = mask
        if self._place is not None:
            work = partial(write_mask, self._place, mask, self._downsample)
            self.background.submit("write", work, _nothing, self._on_error)

    def _painted(self) -> Mask:
        return np.asarray(np.asarray(self.layer.data) != 0)

    def _may_replace(self) -> bool:
        answer = QMessageBox.question(
            self._parent,
            "Find the tissue anew",
            "The mask was corrected by hand. Find the tissue anew and lose that?",
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

    # -- what comes from the threads -------------------------------------------------------------

    def _on_done(self, found: _Mask | _Outline) -> None:
        if found.slide is not self._display.slide or self._slides.layer is None:
            return  # another slide is in front by now
        if isinstance(found, _Outline):
            self._add_region(found.shape)
            return
        was_corrected = self._is_corrected
        self._put(found.mask, found.downsample)
        if was_corrected:
            self._write(found.mask)  # or the former one would come back
        part = 100 * float(found.mask.mean())
        words = f"{part:.0f} % of the slide is tissue. Select the layer 'tissue' to correct it."
        if found.failures:
            words += f" {found.failures} places cannot be read and count as glass."
        self.told.emit(words, False)

    def _add_region(self, shape: BaseGeometry) -> None:
        feature = Feature(Roi(shape), class_name="Tissue", class_color=(0, 158, 115))
        try:
            self._session.add([feature], "tissue as region")
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit("The tissue is a region now.", False)

    def _on_regions(self) -> None:
        """Other regions are open, or none: the mask goes with them."""
        self.jobs.cancel()
        self.keep()
        self._take_off()
        folder = self._session.folder
        if folder is not None:
            work = partial(_read_kept, folder.folder / FILE_NAME)
            take = partial(self._show_kept, folder.folder)
            self.background.submit("read", work, take, self._on_error)

    def _show_kept(self, folder: Path, found: tuple[Mask, float] | None) -> None:
        is_ours = self._session.folder is not None and self._session.folder.folder == folder
        if found is None or not is_ours or self.has_mask or self._slides.layer is None:
            return
        mask, downsample = found
        height, width = self._slides.layer.data[0].shape[:2]
        due = (height / downsample, width / downsample)
        if any(abs(side - whole) > 1 for side, whole in zip(mask.shape, due, strict=True)):
            return  # of something else
        self._put(mask, downsample)
        self._is_corrected = True

    def _put(self, mask: Mask, downsample: float) -> None:
        """Show a mask over the slide."""
        self._take_off()
        folder = self._session.folder
        self._known, self._place = mask, None if folder is None else folder.folder / FILE_NAME
        shown, self._downsample = self._slides.layer, downsample
        scale = [float(s) * downsample for s in shown.scale]
        # The first pixel of the mask lies over the first `downsample` pixels of the slide.
        shift = [float(s) * (downsample - 1) / 2 for s in shown.scale]
        front = self._viewer.layers.selection.active
        self.layer = self._viewer.add_labels(
            mask.astype(np.uint8),
            name=LAYER_NAME,
            scale=scale,
            translate=shift,
            units=shown.units,
            opacity=0.3,
            colormap=_colormap(),
            metadata={"medssl": {"kind": "tissue", "downsample": downsample}},
        )
        layers = self._viewer.layers
        layers.move(layers.index(self.layer), layers.index(shown) + 1)  # regions stay on top
        if front is not None and front in self._viewer.layers:
            self._viewer.layers.selection.active = front

    def _take_off(self) -> None:
        layer, self.layer = self.layer, None
        self._known, self._place, self._is_corrected = None, None, False
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _on_failed(self, text: str) -> None:
        self.told.emit(text, True)

    def _on_error(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)


def _read_kept(path: Path) -> tuple[Mask, float] | None:
    return read_mask(path) if path.exists() else None


def _nothing(_: object) -> None:
    """Take the result of a mask that was written."""
