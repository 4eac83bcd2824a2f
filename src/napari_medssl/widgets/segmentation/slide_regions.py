"""Regions of slides as pictures of a set: shapes drawn over a slide, or tiles from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtWidgets import QInputDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.slide_regions import MOST_REGIONS, SlideRegion, region_name
from napari_medssl.io.slide_rectangles import Box
from napari_medssl.state.mask_items import MaskImage
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._shown_slide import ShownSlide, shown_slide
from napari_medssl.widgets.segmentation.part import Part
from napari_medssl.widgets.segmentation.region_reader import RegionReader

_UM = (0.01, 1000.0)
_USUAL_UM = 1.0
_SELECT = ("select", "direct")  # modes of a Shapes layer in which a person selects shapes


@dataclass(frozen=True)
class _Drawn:
    """A rectangle around a shape, the slide below it, and the layer that it is of."""

    region: SlideRegion
    slide: ShownSlide
    layer: Any


class SlideRegions(Part):
    """Asks how large a pixel is to be, and has regions written into the set as pictures.

    Parameters
    ----------
    viewer
        Whose layers are slides and shapes.
    reader
        What reads regions and adds them to the set.
    come_first
        Has images of the set come first in the queue, by their sources.
    parent
        Of questions.
    """

    def __init__(
        self,
        viewer: Any,
        reader: RegionReader,
        come_first: Callable[[Sequence[str]], object],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._reader, self._come_first = viewer, reader, come_first
        self._um = _USUAL_UM

    def fill_menu(self, menu: QMenu) -> None:
        """Add the entry of the menu "Open"."""
        add_entry(
            menu,
            "Regions of slide ...",
            "Add what the selected shapes over a slide hold, as pictures kept in the set",
            self.add_shapes,
        )

    def add_shapes(self) -> None:
        """Add the rectangles around the shapes that are selected, else those of their layer."""
        try:
            drawn, lacking = self._drawn()
        except UserError as error:
            self._refuse(error)
            return
        words = _words_of(drawn) + _left_out(lacking)
        um = self._ask_um(words, min(_finest(one.slide) for one in drawn))
        if um is None:
            return
        layers = [layer for one in drawn for layer in (one.slide.layer, one.layer)]
        self._add([one.region for one in drawn], um, partial(_hide_if, len(drawn), layers))

    def take_tiles(self, tiles: Sequence[SlideRegion]) -> None:
        """Add tiles of slides, at most as many as are taken at once, and have them come first."""
        chosen = tiles[:MOST_REGIONS]
        if not chosen:
            return
        one = f"{len(chosen):,} tile{'s' * (len(chosen) != 1)}"
        some = f" (the first of {len(tiles):,})" * (len(tiles) > len(chosen))
        um = self._ask_um(f"{one} of slides{some}", _UM[0])
        if um is not None:
            self._add(chosen, um, self._on_tiles)

    # -- inside ----------------------------------------------------------------------------------

    def _add(
        self,
        regions: Sequence[SlideRegion],
        um: float,
        then: Callable[[Sequence[MaskImage]], object],
    ) -> None:
        self._um = um
        self._reader.add(regions, um, then)

    def _on_tiles(self, images: Sequence[MaskImage]) -> None:
        slides = (shown_slide(layer) for layer in self._viewer.layers)
        _hide([one.layer for one in slides if one is not None], images)
        self._come_first([image.source for image in images])

    def _ask_um(self, what: str, finest: float) -> float | None:
        text = (
            f"{what}. They become pictures that are kept in the set.\n\n"
            "Size of a pixel in µm (never smaller than those of the slide):"
        )
        value = max(self._um, finest)
        um, is_given = QInputDialog.getDouble(
            self._parent, "Regions of slides", text, value, finest, _UM[1], 4
        )
        return float(um) if is_given else None

    def _drawn(self) -> tuple[list[_Drawn], int]:
        """Return what is drawn over slides, and how many shapes are not; UserError for nothing."""
        layers = [one for one in self._viewer.layers.selection if one._type_string == "shapes"]
        if not layers:
            raise UserError(
                "No shapes layer is selected. Draw rectangles over a slide in a Shapes layer, or "
                'regions in the widget "Slides", and select that layer.'
            )
        shapes = [one for layer in layers for one in self._drawn_in(layer)]
        found = [one for one in shapes if one is not None]
        if not found:
            names = ", ".join(repr(str(layer.name)) for layer in layers)
            raise UserError(
                f"Layer {names} has no area that lies on a slide that is shown. Open a slide, show "
                "it, and draw rectangles over it."
            )
        if len(found) > MOST_REGIONS:
            raise UserError(
                f"{len(found):,} shapes came; at most {MOST_REGIONS} are taken at once. Select "
                "some of them."
            )
        return found, len(shapes) - len(found)

    def _drawn_in(self, layer: Any) -> Iterator[_Drawn | None]:
        """Give what the shapes of a layer are on a slide, None for one that is on none."""
        for index in _chosen(layer):
            corners = np.array([layer.data_to_world(point) for point in layer.data[index]])
            slide, box = self._part_of_slide(corners)
            if slide is None or box is None:
                yield None
                continue
            # The layer has a short name where names are hidden.
            name = region_name(str(slide.layer.name), slide.source)
            region = SlideRegion(name, slide.fingerprint, (slide.source,), box)
            yield _Drawn(region, slide, layer)

    def _part_of_slide(self, corners: Any) -> tuple[ShownSlide | None, Box | None]:
        """Return the uppermost slide to be seen below the middle of corners, and what they hold.

        Where there is none, that of the slide which they hold some of: a shape at an edge.
        """
        middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
        layers = (layer for layer in reversed(self._viewer.layers) if layer.visible)
        slides = [slide for slide in map(shown_slide, layers) if slide is not None]
        slides.sort(key=lambda slide: not slide.holds(slide.location(middle)))
        boxes = ((slide, _box_on(slide, corners)) for slide in slides)
        return next(((slide, box) for slide, box in boxes if box is not None), (None, None))


def _chosen(layer: Any) -> Sequence[int]:
    """Return which shapes of a layer are selected; where none is, all.

    napari leaves the shape that was drawn last selected: nobody has chosen that one alone.
    """
    chosen, every = sorted(layer.selected_data), range(len(layer.data))
    is_of_ours = "medssl" in layer.metadata  # there the list of regions selects
    if not is_of_ours and layer.mode not in _SELECT and chosen == [*every[-1:]]:
        return every
    return chosen or every


def _box_on(slide: ShownSlide, corners: Any) -> Box | None:
    """Return the part of the slide around corners in the world, whole pixels; None for none."""
    places = np.array([slide.location(corner) for corner in corners])
    width, height = slide.dimensions
    low = np.clip(np.rint(places.min(axis=0)), 0, (width, height))
    high = np.clip(np.rint(places.max(axis=0)), 0, (width, height))
    if (high <= low).any():
        return None
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _finest(slide: ShownSlide) -> float:
    return min(slide.mpp or (1.0, 1.0))


def _words_of(drawn: Sequence[_Drawn]) -> str:
    """Return how many regions there are, and how large the largest is."""
    sides = []
    for one in drawn:
        x0, y0, x1, y1 = one.region.box
        mpp = one.slide.mpp or (1.0, 1.0)
        sides.append(((x1 - x0) * mpp[0], (y1 - y0) * mpp[1]))
    width, height = max(sides, key=lambda side: side[0] * side[1])
    names = sorted({one.region.name for one in drawn})
    unit = "µm" if all(one.slide.mpp for one in drawn) else "pixels"
    size = f"{width:,.0f} x {height:,.0f} {unit}"
    return (
        f"{len(drawn)} region{'s' * (len(drawn) != 1)} of {', '.join(names)}, "
        f"{'the largest ' * (len(drawn) != 1)}{size}"
    )


def _left_out(count: int) -> str:
    """Return what is said of shapes that are on no slide, "" for none."""
    if not count:
        return ""
    are, lie = ("are", "lie") if count > 1 else ("is", "lies")
    shapes = f"{count} shape{'s' * (count > 1)}"
    return f". {shapes} {are} left out: smaller than a pixel, or {lie} beside the slide"


def _hide_if(count: int, layers: Sequence[Any], images: Sequence[MaskImage]) -> None:
    """Hide layers if all their pictures are in the set: what is left may be asked for again."""
    if len(images) == count:
        _hide(layers, images)


def _hide(layers: Sequence[Any], _images: Sequence[MaskImage]) -> None:
    for layer in layers:
        layer.visible = False
