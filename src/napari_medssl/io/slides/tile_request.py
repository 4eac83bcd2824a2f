"""A rectangle of a slide as tiles of the grid in which they are cached."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.slides.protocol import Pixels, Slide

_LEAST_SIDE = 256
_MOST_PIXELS = 2048 * 2048
_CUT_SIDE = 512


class TileKey(NamedTuple):
    """A tile of the grid of `grid_size` of a slide that this cache has numbered."""

    slide: int
    level: int
    column: int
    row: int


def grid_size(slide: Slide, level: int) -> tuple[int, int]:
    """Return width and height of the tiles that are cached: stored tiles, or several of them."""
    across, down = slide.tile_size(level)
    if across * down > _MOST_PIXELS:  # strips, or a level that is one tile
        return _CUT_SIDE, _CUT_SIDE
    return across * max(1, -(-_LEAST_SIDE // across)), down * max(1, -(-_LEAST_SIDE // down))


class TileRequest:
    """A rectangle that somebody waits for."""

    def __init__(
        self, slide: Slide, level: int, corner: tuple[int, int], size: tuple[int, int]
    ) -> None:
        if not 0 <= level < slide.level_count:
            count = slide.level_count
            raise UserError(f"Level {level!r} is not in {slide.name!r}: it has {count}.")
        self.slide = slide
        self.level = level
        self.corner = corner
        self.size = size
        self.grid = grid_size(slide, level)
        self.tiles: dict[TileKey, Pixels] = {}
        self.missing: set[TileKey] = set()
        self.future: Future[Pixels] = Future()

    def keys(self, number: int) -> list[TileKey]:
        """Return the tiles under the rectangle, those near its centre first."""
        width, height = self.slide.level_dimensions[self.level]
        (x, y), (across, down) = self.corner, self.grid
        x0, x1 = max(0, x), min(width, x + self.size[0])
        y0, y1 = max(0, y), min(height, y + self.size[1])
        if x1 <= x0 or y1 <= y0:
            return []
        columns = range(x0 // across, (x1 - 1) // across + 1)
        rows = range(y0 // down, (y1 - 1) // down + 1)
        middle = (columns.start + columns.stop - 1) / 2, (rows.start + rows.stop - 1) / 2
        found = [TileKey(number, self.level, c, r) for r in rows for c in columns]
        return sorted(found, key=lambda k: (k.column - middle[0]) ** 2 + (k.row - middle[1]) ** 2)

    def finish(self) -> None:
        """Put the tiles together and give the result to whoever waits."""
        result = np.full((self.size[1], self.size[0], 3), 255, np.uint8)
        limits = self.slide.level_dimensions[self.level]
        for key, tile in self.tiles.items():
            left, top = key.column * self.grid[0], key.row * self.grid[1]
            x0, y0 = max(left, self.corner[0]), max(top, self.corner[1])
            x1 = min(left + self.grid[0], self.corner[0] + self.size[0], limits[0])
            y1 = min(top + self.grid[1], self.corner[1] + self.size[1], limits[1])
            result[
                y0 - self.corner[1] : y1 - self.corner[1], x0 - self.corner[0] : x1 - self.corner[0]
            ] = tile[y0 - top : y1 - top, x0 - left : x1 - left]
        self.tiles.clear()
        with suppress(InvalidStateError):  # cancelled meanwhile
            self.future.set_result(result)
