"""Where the pixels of examples and hits are, for what reads them again in the compute process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_medssl.backend.place_tiles import TilePlace
from napari_medssl.index.results import Tile
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.state.search_examples import Example
from napari_medssl.widgets.similar.slide_places import SlidePlaces


@dataclass(frozen=True)
class PlaceFinder:
    """Says where tiles are; made on the GUI thread, used in any.

    Attributes
    ----------
    seen
        Places of slides that are shown or linked, by fingerprint.
    records
        The slides of the collection.
    mpp
        Microns per level-0 pixel of the slides of examples, where they are known.
    """

    seen: Mapping[str, Sequence[str]]
    records: Mapping[str, SlideRecord]
    mpp: Mapping[str, float | None]

    def candidates(self, slide: str) -> tuple[str, ...]:
        """Return where the file of a slide may lie, the likeliest first."""
        record = self.records.get(slide)
        known = () if record is None else (record.path,)
        return tuple(dict.fromkeys((*self.seen.get(slide, ()), *known)))

    def tile(self, tile: Tile) -> TilePlace:
        """Return where a tile of the library is."""
        record = self.records.get(tile.slide)
        return TilePlace(
            tile.slide,
            self.candidates(tile.slide),
            (tile.x, tile.y, tile.size, tile.size),
            tile.size,
            None if record is None else record.mpp,
        )

    def example(self, example: Example, set_up: SetUp) -> TilePlace:
        """Return where an example is; a box stands for the tiles that fill it."""
        area = example.area
        if area is None:
            return TilePlace("", (example.source,))
        mpp = self.mpp.get(area.slide)
        size = max(1, round(area.width))
        if not example.is_indexed and mpp:
            size = max(1, round(set_up.size * set_up.mpp / mpp))
        box = (area.x, area.y, area.width, area.height)
        return TilePlace(area.slide, self.candidates(area.slide), box, size, mpp)


def find_places(
    places: SlidePlaces, records: Mapping[str, SlideRecord], examples: Sequence[Example]
) -> PlaceFinder:
    """Return what says where tiles are, as things are now."""
    slides = {one.area.slide for one in examples if one.area is not None}
    return PlaceFinder(
        {slide: tuple(known) for slide, known in places.seen().items()},
        dict(records),
        {slide: places.mpp_of(slide) for slide in slides},
    )
