"""The levels of a slide as arrays that read what is looked at, for napari and for dask."""

from __future__ import annotations

import operator
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.slides.level_slide import MAX_REGION_PIXELS
from napari_medssl.io.slides.protocol import Slide
from napari_medssl.io.slides.tile_cache import TileCache
from napari_medssl.io.slides.tile_request import grid_size

Index = int | slice | EllipsisType


class SlideLevel:
    """One level of a slide, shape (Y, X, 3), uint8; indexing reads through a cache of tiles.

    It is no array of numbers: only indexing by numbers and slices is understood, and a read of more
    than 64 megapixels is refused.

    Parameters
    ----------
    slide
        The slide.
    level
        Number of the level.
    cache
        Where tiles are kept.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, slide: Slide, level: int, cache: TileCache) -> None:
        width, height = slide.level_dimensions[level]
        across, down = grid_size(slide, level)
        self.slide = slide
        self.level = level
        self.shape: tuple[int, int, int] = (height, width, 3)
        # napari widens what it asks for to whole chunks.
        self.chunks: tuple[int, int, int] = (min(down, height), min(across, width), 3)
        self._cache = cache

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1] * 3

    @property
    def nbytes(self) -> int:
        """Memory of the whole level, should anybody read it."""
        return self.size

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<SlideLevel {self.level}: {self.shape[1]} x {self.shape[0]}>"

    def __getitem__(self, key: Index | tuple[Index, ...]) -> NDArray[np.uint8]:
        rows, columns, channels = (
            _bounds(index, size) for index, size in zip(_full(key), self.shape, strict=True)
        )
        size = (columns.stop - columns.start, rows.stop - rows.start)
        if size[0] * size[1] > MAX_REGION_PIXELS:
            raise UserError(
                f"{size[0]} x {size[1]} pixels of a slide were asked for at once; the limit is "
                f"{MAX_REGION_PIXELS // 2**20} megapixels. Take a part or a coarser level."
            )
        corner = (columns.start, rows.start)
        found = self._cache.read(self.slide, self.level, corner, size)
        whole = channels.start == 0 and channels.stop == 3
        found = found if whole else found[..., channels.start : channels.stop]
        return found[rows.rest, columns.rest, channels.rest]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        found = self[:]
        return found if dtype is None else found.astype(dtype)


def slide_levels(slide: Slide, cache: TileCache) -> list[SlideLevel]:
    """Return the levels of a slide as arrays, the full size first."""
    return [SlideLevel(slide, level, cache) for level in range(slide.level_count)]


class _Bounds:
    """What is to be read along an axis, and the index that takes what was asked from that."""

    def __init__(self, start: int, stop: int, rest: int | slice) -> None:
        self.start, self.stop, self.rest = start, stop, rest


def _full(key: Index | tuple[Index, ...]) -> tuple[int | slice, ...]:
    """Return one index for each of the three axes."""
    parts = list(key) if isinstance(key, tuple) else [key]
    for part in parts:
        if not (part is Ellipsis or isinstance(part, slice) or hasattr(part, "__index__")):
            raise TypeError(f"A slide is indexed by numbers and slices, not by {part!r}.")
    if sum(part is Ellipsis for part in parts) > 1 or len(parts) > 3 + (Ellipsis in parts):
        raise IndexError(f"{len(parts)} indices for a slide of 3 axes.")
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    at = parts.index(Ellipsis)
    parts[at : at + 1] = [slice(None)] * (4 - len(parts))
    return tuple(part if isinstance(part, slice) else operator.index(part) for part in parts)  # type: ignore[arg-type]


def _bounds(index: int | slice, size: int) -> _Bounds:
    if isinstance(index, slice):
        chosen = range(*index.indices(size))
        if not chosen:
            return _Bounds(0, 0, slice(None))
        low, high = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
        rest = slice(None, None, chosen.step) if chosen.step != 1 else slice(None)
        return _Bounds(low, high + 1, rest)
    place = index + size if index < 0 else index
    if not 0 <= place < size:
        raise IndexError(f"Index {index} is outside a slide axis of {size}.")
    return _Bounds(place, place + 1, 0)
