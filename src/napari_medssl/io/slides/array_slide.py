"""A picture in memory as a slide; its lower levels are made when they are first read."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.pixels import array_to_rgb
from napari_medssl.io.slides.fingerprint import fingerprint_of, sample_array
from napari_medssl.io.slides.halving import halve, halved
from napari_medssl.io.slides.level_slide import About, Level, LevelSlide, plausible_mpp
from napari_medssl.io.slides.protocol import Pixels

_COARSEST = 512  # pixels of the longer side below which no further level is made


class ArraySlide(LevelSlide):
    """A slide over an array.

    Parameters
    ----------
    pixels
        Grey or RGB, shape (Y, X), (Y, X, 3) or (Y, X, 4) with opacity last. Other types than uint8
        are scaled as `io.pixels` says. uint8 RGB is not copied: do not change it afterwards.
    mpp
        Microns per pixel along x and y, or one number for both.
    name, source
        For messages, and what `open_slide` would open again.

    Raises
    ------
    UserError
        If the array has another shape, no pixels, or an mpp that is no size of a pixel.
    """

    def __init__(
        self,
        pixels: NDArray[np.generic],
        *,
        mpp: float | tuple[float, float] | None = None,
        name: str = "array",
        source: str = "",
    ) -> None:
        self._pyramid: list[Pixels] = [_as_rgb(pixels, name)]
        self._lock = threading.Lock()
        height, width = self._pyramid[0].shape[:2]
        super().__init__(
            About(name=name, source=source, mpp=_checked_mpp(mpp)), _pyramid_levels(width, height)
        )

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        return self._pixels_of(level)[y : y + height, x : x + width].copy()

    def _make_fingerprint(self) -> str:
        whole = np.ascontiguousarray(self._pyramid[0])
        return fingerprint_of("array", self._levels[:1], sample_array(whole.data.cast("B")))

    def _pixels_of(self, level: int) -> Pixels:
        with self._lock:
            while len(self._pyramid) <= level:
                self._pyramid.append(halve(self._pyramid[-1]))
            return self._pyramid[level]


class PictureSlide(ArraySlide):
    """A plain picture of a file as a slide; its fingerprint is that of the file."""

    def __init__(
        self,
        pixels: Pixels,
        *,
        name: str,
        source: str,
        make_fingerprint: Callable[[tuple[Level, ...]], str],
    ) -> None:
        super().__init__(pixels, name=name, source=source)
        self._fingerprint_from_file = make_fingerprint

    def _make_fingerprint(self) -> str:
        return self._fingerprint_from_file(self._levels[:1])


def _as_rgb(pixels: NDArray[np.generic], name: str) -> Pixels:
    is_picture = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 2, 3, 4))
    if not is_picture or 0 in pixels.shape or pixels.dtype.kind not in "buif":
        raise UserError(
            f"{name!r} is an array of shape {pixels.shape} and type {pixels.dtype}; due is "
            "(Y, X) or (Y, X, 3) of numbers with at least one pixel."
        )
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3:
        return np.asarray(pixels, dtype=np.uint8)
    return array_to_rgb(pixels, alpha=pixels.ndim == 3 and pixels.shape[2] in (2, 4))


def _checked_mpp(mpp: float | tuple[float, float] | None) -> tuple[float, float] | None:
    if mpp is None:
        return None
    pair = mpp if isinstance(mpp, tuple) else (mpp, mpp)
    found = plausible_mpp(*pair)
    if found is None:
        raise UserError(f"mpp is {mpp!r}; due are microns per pixel, such as 0.5.")
    return found


def _pyramid_levels(width: int, height: int) -> list[Level]:
    levels = [Level(width, height, 1.0)]
    while max(width, height) > _COARSEST:
        width, height = halved(width), halved(height)
        levels.append(Level(width, height, float(2 ** len(levels))))
    return levels
