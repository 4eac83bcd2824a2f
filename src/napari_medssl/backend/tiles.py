"""Tile a slide: where the tiles with tissue lie, how sharp they are, and their pictures."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.io.files import check_writable, make_folder, write_all_whole
from napari_medssl.io.focus import blur_um
from napari_medssl.io.slide_tissue import SlideTissue, find_tissue
from napari_medssl.io.slides import Slide, open_slide
from napari_medssl.io.tile_table import TileSource, TileTable, write_tiles
from napari_medssl.io.tiles import TileBatch, TileReader

_BATCH = 32
_MOST_TILES = 50_000_000


@dataclass(frozen=True)
class TilesConfig:
    """Find the tiles of a slide that show tissue."""

    mpp: float = option(0.5, help="Resolution of the tiles.", min=0.05, max=100.0, unit="um/px")
    size: int = option(224, help="Side of a tile in its own pixels.", min=8, max=4096, unit="px")
    overlap: float = option(
        0.0, help="Part of a tile's side that the next one shares.", min=0.0, max=0.9
    )
    min_tissue: float = option(
        0.5, help="Least part of a tile that is tissue; 0 takes all.", min=0.0, max=1.0
    )
    blur: bool = option(True, help="Measure the blur of each tile, for which all of them are read.")
    max_blur: float | None = option(
        None,
        help="Leave out tiles of more blur; in focus is below 1, plainly blurred above 2.",
        min=0.0,
        unit="um",
    )
    slide_mpp: float | None = option(
        None,
        help="Microns per pixel of the slide at full size, where the file does not say.",
        min=0.005,
        max=1000.0,
        unit="um/px",
    )


@dataclass(frozen=True, slots=True)
class TilesReport:
    """What `tile_slide` found.

    Attributes
    ----------
    table
        The tiles, as they are written.
    remarks
        Lines for the person: what was done in another way than asked.
    failures
        `(place, reason)` of what could not be read.
    """

    table: TileTable
    remarks: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The tiles of a slide before any is read: their blur is NaN."""

    table: TileTable
    tissue: SlideTissue
    remarks: tuple[str, ...]


def tile_slide(
    path: Path,
    out: Path,
    config: TilesConfig,
    *,
    save: Path | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TilesReport:
    """Find the tiles of a slide and write their table.

    Parameters
    ----------
    path
        The slide.
    out
        The table, see `io.tile_table`; written at the end, whole or not at all.
    config
        Which tiles.
    save
        Folder for a PNG of each tile, `x_y.png` with its corner at level 0.
    on_progress, should_stop
        See `backend.jobs`. Pictures that are saved when it stops stay; the table is not written.

    Raises
    ------
    UserError
        If the slide cannot be opened or has no mpp, or nothing can be written.
    Cancelled
        If it was asked to stop.
    """
    check(config)
    check_writable(out)
    if save is not None:
        make_folder(save)
    with open_slide(path) as slide:
        plan = plan_tiles(slide, config, should_stop=should_stop)
        table, failures = plan.table, [("tissue", str(error)) for error in plan.tissue.failures]
        if save is not None or config.blur or config.max_blur is not None:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                reading = _Reading(table, config, save, pool)
                table = reading.run(slide, on_progress, should_stop)
            failures += reading.failures
    write_tiles(table, out)
    return TilesReport(table, plan.remarks, tuple(failures))


def plan_tiles(slide: Slide, config: TilesConfig, *, should_stop: ShouldStop = never) -> TilePlan:
    """Return the tiles with tissue, and the tissue, from a look at a low level.

    Raises
    ------
    UserError
        If the slide has no mpp and `config.slide_mpp` gives none, or is smaller than a tile.
    Cancelled
        If it was asked to stop.
    """
    mpp = slide_mpp(slide, config)
    size = max(1, round(config.size * config.mpp / mpp))
    locations = grid(slide.dimensions, size, config.overlap)
    if not len(locations):
        raise UserError(
            f"The slide {slide.name!r} is {slide.dimensions[0]} x {slide.dimensions[1]} pixels, "
            f"smaller than one tile of {size}. Choose a smaller --size or --mpp."
        )
    tissue = find_tissue(slide, mpp, should_stop=should_stop)
    if should_stop():
        raise Cancelled
    fraction = tissue.fraction(locations, size)
    kept = fraction >= config.min_tissue
    source = TileSource(
        slide=slide.fingerprint,
        slide_mpp=mpp,
        mpp=mpp * size / config.size,
        pixels=config.size,
        overlap=config.overlap,
        min_tissue=config.min_tissue,
    )
    table = TileTable(
        locations[kept], size, fraction[kept], np.full(int(kept.sum()), np.nan, np.float32), source
    )
    return TilePlan(table, tissue, _remarks(slide, config, mpp))


def slide_mpp(slide: Slide, config: TilesConfig) -> float:
    """Return microns per level-0 pixel: what the config says, else the slide.

    Raises
    ------
    UserError
        If neither says it.
    """
    if config.slide_mpp is not None:
        return config.slide_mpp
    if slide.mpp is None:
        raise UserError(
            f"The slide {slide.name!r} does not say how large its pixels are. Give microns per "
            "pixel at full size with --slide-mpp, such as 0.25 for 40x or 0.5 for 20x."
        )
    return math.sqrt(slide.mpp[0] * slide.mpp[1])


def grid(dimensions: tuple[int, int], size: int, overlap: float) -> NDArray[np.int64]:
    """Return the corners `(x, y)` of the tiles that lie inside, by rows, shape (N, 2)."""
    step = max(1, round(size * (1 - overlap)))
    across, down = (np.arange(0, side - size + 1, step, dtype=np.int64) for side in dimensions)
    if len(across) * len(down) > _MOST_TILES:
        raise UserError(
            f"{len(across) * len(down)} tiles are too many; the limit is {_MOST_TILES}. "
            "Choose a larger --size or --mpp, or less --overlap."
        )
    y, x = np.meshgrid(down, across, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _remarks(slide: Slide, config: TilesConfig, mpp: float) -> tuple[str, ...]:
    lines = []
    if slide.mpp is not None and config.slide_mpp is not None:
        told = math.sqrt(slide.mpp[0] * slide.mpp[1])
        if abs(told / config.slide_mpp - 1) > 0.01:
            lines.append(
                f"{slide.name!r} says that it has {told:.4g} microns per pixel; "
                f"{config.slide_mpp:g} is used as you asked."
            )
    if config.mpp < 0.9 * mpp:
        lines.append(
            f"The tiles are enlarged: {slide.name!r} has {mpp:.3g} microns per pixel, "
            f"{config.mpp:g} are asked for."
        )
    return tuple(lines)


class _Reading:
    """Goes through the pixels of the tiles: blur, pictures, and which cannot be read."""

    def __init__(
        self, table: TileTable, config: TilesConfig, save: Path | None, pool: ThreadPoolExecutor
    ) -> None:
        self.failures: list[tuple[str, str]] = []
        self._table, self._config, self._save, self._pool = table, config, save, pool

    def run(self, slide: Slide, on_progress: OnProgress, should_stop: ShouldStop) -> TileTable:
        """Return the table with the blur, without what is too blurred or cannot be read."""
        table, config = self._table, self._config
        reader = TileReader(
            slide,
            table.locations,
            table.size,
            config.size,
            batch_size=_BATCH,
            on_bad_tile="skip",
        )
        blur = table.blur.copy()
        is_kept = np.zeros(len(table), bool)
        done = 0
        batches = iter(reader)
        for batch in batches:
            if should_stop():
                batches.close()  # type: ignore[attr-defined]  # ends the threads now
                raise Cancelled
            blur[batch.index] = self._blur(batch)
            # NaN is no blur: what is empty is not blurred.
            is_good = ~(blur[batch.index] > (config.max_blur or math.inf))
            is_kept[batch.index] = is_good
            self._save_pictures(batch, is_good)
            done += len(batch.index)
            on_progress(Progress(done, len(table), "reading tiles"))
        self.failures += [
            (f"x {failure.location[0]}, y {failure.location[1]}", str(failure))
            for failure in reader.failures
        ]
        return replace(
            table,
            locations=table.locations[is_kept],
            tissue=table.tissue[is_kept],
            blur=blur[is_kept],
        )

    def _blur(self, batch: TileBatch) -> NDArray[np.float32]:
        if not (self._config.blur or self._config.max_blur is not None):
            return np.full(len(batch.index), np.nan, np.float32)
        parts = np.array_split(batch.pixels, 8)
        return np.concatenate(
            list(self._pool.map(lambda part: blur_um(part, self._table.source.mpp), parts))
        )

    def _save_pictures(self, batch: TileBatch, is_good: NDArray[np.bool_]) -> None:
        if self._save is None:
            return
        names = [self._save / f"{x}_{y}.png" for x, y in batch.locations[is_good].tolist()]
        contents = self._pool.map(_png, batch.pixels[is_good])
        if names:
            write_all_whole(dict(zip(names, contents, strict=True)))


def _png(tile: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(tile).save(stream, "PNG", compress_level=3)
    return stream.getvalue()
