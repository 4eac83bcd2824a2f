"""What every source of slides shares: checked requests, white outside, batches."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType, TracebackType
from typing import Any, Self

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.slides.protocol import Pixels

MAX_REGION_PIXELS = 2**26
"""Pixels of the largest single read, 8192 x 8192: about 1 GB of memory at the peak."""

MAX_SIDE = 4_000_000
"""Longest side of a slide in pixels; scanners stay below a tenth of it."""

MAX_LEVELS = 64

_LEAST_MPP, _MOST_MPP = 0.005, 1000.0


@dataclass(frozen=True, slots=True)
class Level:
    """Size of a level and of the tiles that it is stored in, in pixels of the level."""

    width: int
    height: int
    downsample: float
    tile_width: int = 256
    tile_height: int = 256


@dataclass(frozen=True, slots=True)
class About:
    """What a source says of its slide besides its pixels."""

    name: str
    source: str = ""
    mpp: tuple[float, float] | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


def plausible_mpp(x: object, y: object) -> tuple[float, float] | None:
    """Return two numbers or texts as microns per pixel, None if no microscope has such pixels."""
    try:
        pair = (float(x), float(y))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return pair if all(_LEAST_MPP <= value <= _MOST_MPP for value in pair) else None


def check_levels(name: str, levels: Sequence[Level]) -> None:
    """Raise `UserError` if the geometry is one that no scanner makes."""
    if not 1 <= len(levels) <= MAX_LEVELS:
        raise UserError(
            f"Cannot open {name!r}: it says that it has {len(levels)} levels; "
            f"due are 1 to {MAX_LEVELS}. The file is damaged."
        )
    for level in levels:
        if not (1 <= level.width <= MAX_SIDE and 1 <= level.height <= MAX_SIDE):
            raise UserError(
                f"Cannot open {name!r}: it says that it is {level.width} x {level.height} "
                f"pixels; the limit is {MAX_SIDE} a side. The file is damaged or hostile."
            )
        if not (math.isfinite(level.downsample) and level.downsample >= 1):
            raise UserError(
                f"Cannot open {name!r}: a level is {level.downsample!r} times smaller than the "
                "full size; due is 1 or more."
            )
        if not 1 <= level.tile_width * level.tile_height <= MAX_REGION_PIXELS:
            raise UserError(
                f"Cannot open {name!r}: its tiles are {level.tile_width} x {level.tile_height} "
                f"pixels; the limit is {MAX_REGION_PIXELS} pixels. Convert it with smaller tiles."
            )


class LevelSlide(ABC):
    """Base of the sources: they read whole rectangles inside a level, the rest is here.

    Parameters
    ----------
    about
        Name, mpp and safe properties.
    levels
        Geometry of each level, the full size first.

    Raises
    ------
    UserError
        If the geometry is absurd.
    """

    def __init__(self, about: About, levels: Sequence[Level]) -> None:
        check_levels(about.name, levels)
        self._about = about
        self._levels = tuple(levels)
        self._is_closed = False

    @abstractmethod
    def _read_inside(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        """Return the rectangle, which lies inside `level`, shape (height, width, 3)."""

    @abstractmethod
    def _make_fingerprint(self) -> str:
        """Return the hash that `fingerprint` keeps."""

    @property
    def name(self) -> str:
        """See `Slide.name`."""
        return self._about.name

    @property
    def source(self) -> str:
        """See `Slide.source`."""
        return self._about.source

    @property
    def dimensions(self) -> tuple[int, int]:
        """See `Slide.dimensions`."""
        return self.level_dimensions[0]

    @property
    def level_count(self) -> int:
        """See `Slide.level_count`."""
        return len(self._levels)

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """See `Slide.level_dimensions`."""
        return tuple((level.width, level.height) for level in self._levels)

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """See `Slide.level_downsamples`."""
        return tuple(level.downsample for level in self._levels)

    @property
    def mpp(self) -> tuple[float, float] | None:
        """See `Slide.mpp`."""
        return self._about.mpp

    @property
    def properties(self) -> Mapping[str, str]:
        """See `Slide.properties`."""
        return MappingProxyType(dict(self._about.properties))

    @property
    def associated_images(self) -> Mapping[str, Pixels]:
        """See `Slide.associated_images`."""
        return MappingProxyType({})

    @cached_property
    def fingerprint(self) -> str:
        """See `Slide.fingerprint`."""
        return self._make_fingerprint()

    def tile_size(self, level: int) -> tuple[int, int]:
        """See `Slide.tile_size`."""
        chosen = self._level(level)
        return chosen.tile_width, chosen.tile_height

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Pixels:
        """See `Slide.read_region`."""
        downsample = self._level(level).downsample
        x, y = (math.floor(value / downsample + 0.5) for value in location)
        return self.read_pixels(level, (x, y), size)

    def read_pixels(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Pixels:
        """See `Slide.read_pixels`."""
        self._check_request(level, size)
        window = self._inside(level, corner, size)
        if window is None:
            return np.full((size[1], size[0], 3), 255, np.uint8)
        x, y, width, height = window
        inside = self._read_inside(level, x, y, width, height)
        if (width, height) == tuple(size):
            return inside
        result = np.full((size[1], size[0], 3), 255, np.uint8)
        left, top = x - corner[0], y - corner[1]
        result[top : top + height, left : left + width] = inside
        return result

    def read_many(
        self, level: int, corners: Sequence[tuple[int, int]], size: tuple[int, int]
    ) -> Pixels:
        """See `Slide.read_many`."""
        result = np.empty((len(corners), size[1], size[0], 3), np.uint8)
        for row, corner in zip(result, corners, strict=True):
            row[:] = self.read_pixels(level, corner, size)
        return result

    def read_private_properties(self) -> Mapping[str, str]:
        """See `Slide.read_private_properties`."""
        return self.properties

    def read_icc_profile(self) -> bytes | None:
        """See `Slide.read_icc_profile`."""
        return None

    def close(self) -> None:
        """See `Slide.close`."""
        self._is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process as the place from which it is opened again."""
        from napari_medssl.io.slides.opening import open_slide

        if not self.source:
            raise TypeError(f"{self!r} has no place to be opened again from: send its pixels.")
        return open_slide, (self.source,)

    def __repr__(self) -> str:
        width, height = self.dimensions
        return f"<{type(self).__name__} {width} x {height}, {self.level_count} levels>"

    def _level(self, level: int) -> Level:
        if not 0 <= level < len(self._levels):
            raise UserError(f"Level {level!r} is not in {self.name!r}: it has {self.level_count}.")
        return self._levels[level]

    def _check_request(self, level: int, size: tuple[int, int]) -> None:
        self._level(level)
        if self._is_closed:
            raise UserError(f"The slide {self.name!r} is closed: open it again.")
        width, height = size
        if width < 0 or height < 0 or width * height > MAX_REGION_PIXELS:
            raise UserError(
                f"Cannot read {width} x {height} pixels of {self.name!r} at once; the limit is "
                f"{MAX_REGION_PIXELS // 2**20} megapixels. Read smaller parts or a higher level."
            )

    def _inside(
        self, level: int, corner: tuple[int, int], size: tuple[int, int]
    ) -> tuple[int, int, int, int] | None:
        """Return x, y, width and height of the part that lies inside the level, if any does."""
        chosen = self._levels[level]
        x0, y0 = max(0, corner[0]), max(0, corner[1])
        x1 = min(chosen.width, corner[0] + size[0])
        y1 = min(chosen.height, corner[1] + size[1])
        return (x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None
