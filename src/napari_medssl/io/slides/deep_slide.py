"""Give a slide the coarse levels that its file lacks, so that a view of all of it is cheap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_medssl.io.slides.byte_lru import ByteLru
from napari_medssl.io.slides.halving import halve, halved
from napari_medssl.io.slides.level_slide import About, Level, LevelSlide
from napari_medssl.io.slides.protocol import Pixels, Slide

_TILE = 256
_CACHE_BYTES = 64 * 2**20


def with_coarse_levels(slide: Slide, longest: int = 2048) -> Slide:
    """Return a slide whose coarsest level has at most `longest` pixels a side.

    `slide` itself where it has one; else one that reads it and halves its pixels when such a level
    is read, and closes it when it is closed.
    """
    if max(slide.level_dimensions[-1]) <= longest:
        return slide
    return DeepSlide(slide, longest)


class DeepSlide(LevelSlide):
    """A slide with added levels, each half the one before; see `with_coarse_levels`."""

    def __init__(self, slide: Slide, longest: int) -> None:
        self._slide = slide
        self._longest = longest
        self._tiles: ByteLru[tuple[int, int, int]] = ByteLru(_CACHE_BYTES)
        stored = zip(slide.level_dimensions, slide.level_downsamples, strict=True)
        levels = [
            Level(width, height, downsample, *slide.tile_size(number))
            for number, ((width, height), downsample) in enumerate(stored)
        ]
        self._stored = len(levels)
        while max(levels[-1].width, levels[-1].height) > longest:
            last = levels[-1]
            size = (halved(last.width), halved(last.height))
            levels.append(Level(*size, last.downsample * 2, _TILE, _TILE))
        super().__init__(About(slide.name, slide.source, slide.mpp, slide.properties), levels)

    def __reduce__(self) -> tuple[Any, ...]:
        return with_coarse_levels, (self._slide, self._longest)

    @property
    def associated_images(self) -> Mapping[str, Pixels]:
        """See `Slide.associated_images`."""
        return self._slide.associated_images

    def read_many(
        self, level: int, corners: Sequence[tuple[int, int]], size: tuple[int, int]
    ) -> Pixels:
        """See `Slide.read_many`."""
        if level < self._stored:
            return self._slide.read_many(level, corners, size)
        return super().read_many(level, corners, size)

    def read_private_properties(self) -> Mapping[str, str]:
        """See `Slide.read_private_properties`."""
        return self._slide.read_private_properties()

    def read_icc_profile(self) -> bytes | None:
        """See `Slide.read_icc_profile`."""
        return self._slide.read_icc_profile()

    def close(self) -> None:
        """See `Slide.close`."""
        super().close()
        self._slide.close()
        self._tiles.clear()

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        if level < self._stored:
            return self._slide.read_pixels(level, (x, y), (width, height))
        result = np.empty((height, width, 3), np.uint8)
        for row in range(y // _TILE, (y + height - 1) // _TILE + 1):
            y0, y1 = max(y, row * _TILE), min(y + height, (row + 1) * _TILE)
            for column in range(x // _TILE, (x + width - 1) // _TILE + 1):
                x0, x1 = max(x, column * _TILE), min(x + width, (column + 1) * _TILE)
                tile = self._tile(level, column, row)
                result[y0 - y : y1 - y, x0 - x : x1 - x] = tile[
                    y0 - row * _TILE : y1 - row * _TILE, x0 - column * _TILE : x1 - column * _TILE
                ]
        return result

    def _make_fingerprint(self) -> str:
        return self._slide.fingerprint

    def _tile(self, level: int, column: int, row: int) -> Pixels:
        """Return a tile of an added level, cut at the edges of the level."""
        kept = self._tiles.get((level, column, row))
        if kept is None:
            x, y, below = 2 * _TILE * column, 2 * _TILE * row, self._levels[level - 1]
            size = (min(2 * _TILE, below.width - x), min(2 * _TILE, below.height - y))
            kept = halve(self.read_pixels(level - 1, (x, y), size))
            self._tiles.put((level, column, row), kept)
        return kept
