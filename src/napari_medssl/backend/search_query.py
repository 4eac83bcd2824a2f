"""What is searched for: a place of a slide or a picture, as a vector of a library's encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.encoders import Encoder, make_encoder
from napari_medssl.backend.place_tiles import TilePlace
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.backend.tiles import TilesConfig, plan_tiles
from napari_medssl.index.results import Tile
from napari_medssl.index.searchable import Searchable
from napari_medssl.index.set_up import check_encoder, is_noted
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.io.images import ImageRef
from napari_medssl.io.slides import Slide, open_slide
from napari_medssl.io.stain import Reinhard, fit_slide_stain, fit_stain
from napari_medssl.io.tile_sampling import TileSampler


@dataclass(frozen=True)
class SearchConfig:
    """Search a library for similar tiles."""

    top: int = option(10, help="How many tiles to find.", min=1, max=100_000)
    encoder: str = option(
        "", help="Encoder or collection, where the library holds several; or the encoder's file."
    )
    exclude_slide: bool = option(False, help="Find nothing in the query's own slide.")
    stain: bool = option(
        False,
        help="Rank the hits with the stain taken away, and tell which are due to stain.",
    )
    exclude_patient: bool = option(
        False, help="Find nothing of the query's own patient, nor in its own slide."
    )
    slide_mpp: float | None = option(
        None,
        help="Microns per pixel of the query's slide, where the file does not say.",
        min=0.005,
        max=1000.0,
        unit="um/px",
    )
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for: a place `(x, y)` at level 0 of a slide, or a picture."""

    slide: str = ""
    at: tuple[float, float] | None = None
    image: Path | None = None


class QueryVector:
    """Finds the vector to search with, and what must not be found.

    Attributes
    ----------
    tile
        The indexed tile that is the query, if it is one.
    slide
        Fingerprint of the query's slide, "" for a picture.
    square
        `(x, y, side)` of what was embedded of it, at level 0.
    remarks
        Lines for the person.
    """

    def __init__(self, collection: Searchable, config: SearchConfig) -> None:
        self.tile: Tile | None = None
        self.remarks: list[str] = []
        self.slide = ""
        self.square = (0, 0, 0)
        self._collection, self._config = collection, config

    def of_picture(self, path: Path) -> NDArray[np.float32]:
        """Return the embedding of a picture's middle square, shape (D,)."""
        set_up = self._collection.set_up
        tile = read_tile(ImageRef(path), set_up.pixels)
        if set_up.stain:
            try:
                tile = Reinhard(fit_stain(tile), set_up.stain)(tile)
            except UserError:
                self.remarks.append(
                    f"{path.name!r} shows too little stain to be brought to that of the library; "
                    "it is searched for as it is."
                )
        return self._embedded(tile)

    def of_place(self, query: Query) -> NDArray[np.float32]:
        """Return the embedding of the tile at a place of a slide, shape (D,)."""
        x, y = query.at or (0.0, 0.0)
        with open_slide(query.slide) as slide:
            width, height = slide.dimensions
            if not (0 <= x < width and 0 <= y < height):
                raise UserError(
                    f"--at {x:g},{y:g} lies outside the slide {slide.name!r} of {width} x {height} "
                    "pixels. Give x and y in pixels of the full size."
                )
            self.slide = slide.fingerprint
            if self._is_indexed(slide):
                nearest = self._collection.nearest_tile(self.slide, (x, y))
                if nearest.holds((x, y)):
                    self.tile = nearest
                    self.square = (nearest.x, nearest.y, nearest.size)
                    return self._collection.vector(nearest)
            self.remarks.append(
                f"The library has no tile at {x:g},{y:g} of {slide.name!r}: the one around it is "
                "embedded now."
            )
            return self._embedded(self._read_around(slide, x, y))

    def excluded(self, records: dict[str, SlideRecord]) -> tuple[set[str], set[str]]:
        """Return the slides and the patients that nothing is to be found of."""
        slides: set[str] = set()
        patients: set[str] = set()
        if self._config.exclude_slide or self._config.exclude_patient:
            slides.add(self.slide)
        if self._config.exclude_patient:
            record = records.get(self.slide)
            if record is not None and record.patient:
                patients.add(record.patient)
            else:
                self.remarks.append(
                    "Nobody said whose the query's slide is, so only that slide is left out. Give "
                    "--patients or --patient-rule to `medssl index`."
                )
        return slides, patients

    @property
    def slide_mpp(self) -> float | None:
        """Microns per level-0 pixel of the query's slide, where a person said them."""
        return self._config.slide_mpp

    def place(self, query: Query) -> TilePlace:
        """Return where the pixels of the query are, once its vector was asked for."""
        if query.image is not None:
            return TilePlace("", (str(query.image),))
        x, y, size = self.square
        return TilePlace(self.slide, (query.slide,), (x, y, size, size), size, self.slide_mpp)

    def _is_indexed(self, slide: Slide) -> bool:
        """Say whether the slide is in the library and has tiles.

        Raises
        ------
        UserError
            If the library knows another slide by this path: this one has changed.
        """
        for record in self._collection.slides:
            if record.fingerprint == slide.fingerprint:
                return record.tiles > record.unread
            if record.path == slide.source:
                raise UserError(
                    f"{slide.name!r} is another slide than when it was indexed. Index it again "
                    "with --reindex, or put the former file back."
                )
        return False

    def _read_around(self, slide: Slide, x: float, y: float) -> NDArray[np.uint8]:
        """Return the tile whose middle is at a place, uint8 (S, S, 3)."""
        set_up = self._collection.set_up
        tiling = TilesConfig(
            mpp=set_up.mpp,
            size=set_up.size,
            min_tissue=set_up.min_tissue,
            blur=False,
            slide_mpp=self._config.slide_mpp,
        )
        plan = plan_tiles(slide, tiling)
        size = plan.table.size
        corner = (round(x - size / 2), round(y - size / 2))
        self.square = (*corner, size)
        tile = TileSampler(slide, size, set_up.pixels).read([corner])[0]
        if set_up.stain:
            return Reinhard(fit_slide_stain(slide, plan.table), set_up.stain)(tile)
        return np.asarray(tile)

    def _embedded(self, tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        encoder = self._encoder()
        vector: NDArray[np.float32] = encoder.embed(tile[None])[0]
        return vector

    def _encoder(self) -> Encoder:
        """Return the library's encoder.

        Raises
        ------
        UserError
            If it is not there, or has other weights by now.
        """
        set_up = self._collection.set_up
        given = self._config.encoder
        named = given if Path(given).suffix else self._collection.encoder_given
        encoder = make_encoder(named, self._config.device)
        info = encoder.info
        check_encoder(set_up, info.name, info.sha256, info.preprocessing)
        if not is_noted(set_up, info.preprocessing):
            self.remarks.append(
                f"The library does not say with which mean and std {info.name!r} made it; those of "
                f"{info.name + '.json'!r} are used."
            )
        return encoder
