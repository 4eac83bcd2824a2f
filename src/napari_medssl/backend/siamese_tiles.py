"""The tiles that an encoder is trained on: of slides with their places, and of folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.labelled_tiles import TABLE, read_labelled_tiles
from napari_medssl.backend.models import DataSource
from napari_medssl.backend.slide_lists import list_slides
from napari_medssl.backend.sources import read_sources
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.backend.tiles import TilesConfig, plan_tiles
from napari_medssl.io.slides import open_slide
from napari_medssl.io.stain import Reinhard, fit_slide_stain
from napari_medssl.io.tiles import TileReader


@dataclass(slots=True)
class TrainingTiles:
    """Tiles to train on, all in memory.

    Attributes
    ----------
    pixels
        uint8 RGB, shape (N, S, S, 3).
    slides
        Number of the slide of each tile, shape (N,).
    places_mm
        Middle `(x, y)` on its slide in mm, shape (N, 2); NaN for tiles of labelled folders.
    remarks
        Lines for the person.
    """

    pixels: NDArray[np.uint8]
    slides: NDArray[np.int64]
    places_mm: NDArray[np.float64]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TileRequest:
    """Which tiles: side in pixels, resolution, most of a slide, stain, seed, sets of folders."""

    pixels: int
    mpp: float
    most: int
    stain: str
    slide_mpp: float | None
    seed: int
    sets: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    pixels: list[NDArray[np.uint8]] = field(default_factory=list)
    slides: list[NDArray[np.int64]] = field(default_factory=list)
    places: list[NDArray[np.float64]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, pixels: NDArray[np.uint8], slides: NDArray[np.int64]) -> None:
        self.pixels.append(pixels)
        self.slides.append(slides + self.count)
        self.count += int(slides.max()) + 1


def list_sources(given: Path) -> tuple[Path, ...]:
    """Return slides and labelled folders: of a folder, or the lines of a text file.

    Parameters
    ----------
    given
        A slide, a folder of slides, a folder with tiles.csv, or a text file that names any of
        these, one a line, by paths relative to itself; lines that start with "#" are passed over.

    Raises
    ------
    UserError
        If there is none.
    """
    found = tuple(
        Path(one) for one in list_slides(str(given), is_other=lambda path: (path / TABLE).is_file())
    )
    if not found:
        raise UserError(
            f"{str(given)!r} holds no slide and no {TABLE}. Give a folder of slides, or a text "
            "file with one a line."
        )
    return found


def load_tiles(
    sources: tuple[Path, ...],
    request: TileRequest,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TrainingTiles:
    """Return the tiles of all sources.

    Raises
    ------
    UserError
        If a slide cannot be opened or has no mpp, or no tile shows tissue.
    Cancelled
        If it was asked to stop.
    """
    found = _Found()
    for number, source in enumerate(sources):
        on_progress(Progress(0, None, f"reading tiles, {number + 1} of {len(sources)}"))
        if (source / TABLE).is_file():
            _add_folder(found, source, request, should_stop)
        else:
            _add_slide(found, source, request, should_stop)
    if not found.pixels:
        raise UserError("No tile shows tissue. Give other slides.")
    return TrainingTiles(
        np.concatenate(found.pixels),
        np.concatenate(found.slides),
        np.concatenate(found.places),
        tuple(found.remarks),
    )


def _add_slide(found: _Found, path: Path, request: TileRequest, should_stop: ShouldStop) -> None:
    with open_slide(path) as slide:
        config = TilesConfig(
            mpp=request.mpp,
            size=request.pixels,
            blur=False,
            slide_mpp=request.slide_mpp if slide.mpp is None else None,
        )
        plan = plan_tiles(slide, config, should_stop=should_stop)
        table = plan.table
        found.remarks += plan.remarks
        if not len(table):
            found.remarks.append(f"{slide.name!r} shows no tissue; it is left out.")
            return
        locations = table.locations
        if len(locations) > request.most:
            rng = np.random.default_rng([request.seed, found.count])
            locations = locations[np.sort(rng.choice(len(locations), request.most, False))]
        look = Reinhard(fit_slide_stain(slide, table), request.stain) if request.stain else None
        reader = TileReader(slide, locations, table.size, request.pixels, transform=look)
        parts, places = [], []
        batches = iter(reader)
        for batch in batches:
            if should_stop():
                batches.close()  # type: ignore[attr-defined]  # ends the threads now
                raise Cancelled("Stopped before the first step; there is no checkpoint yet.")
            parts.append(batch.pixels)
            places.append((batch.locations + table.size / 2) * table.source.slide_mpp / 1000)
    found.places.append(np.concatenate(places))
    pixels = np.concatenate(parts)
    found.add(pixels, np.zeros(len(pixels), np.int64))


def _add_folder(found: _Found, folder: Path, request: TileRequest, should_stop: ShouldStop) -> None:
    for tiles in read_labelled_tiles(folder):
        if request.sets and tiles.name not in request.sets:
            continue
        pictures = []
        for ref in tiles.refs:
            if should_stop():
                raise Cancelled("Stopped before the first step; there is no checkpoint yet.")
            pictures.append(read_tile(ref, request.pixels))
        found.places.append(np.full((len(pictures), 2), np.nan))
        found.add(np.stack(pictures), tiles.slide_numbers())


def data_sources(given: Path) -> tuple[DataSource, ...]:
    """Return whence the tissue comes, see `backend.sources`: in the folder or beside the list."""
    folder = given if given.is_dir() else given.parent
    return read_sources(folder, f"tissue of {given.name!r}")
