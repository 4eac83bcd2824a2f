"""Turn pixels of any type into 8-bit RGB, a band of rows at a time.

Bands keep the peak of memory near that of the result: a picture of 200 megapixels in 32 bits
would otherwise pass through four copies of itself.

How wide values become 8 bits:

- 8 bits stay as they are; 1 bit becomes 0 and 255.
- Unsigned integers that use the upper half of their range: value / maximum * 255 (16 bits: / 257).
  A figure saved with 16 bits looks as it did with 8.
- Floats that lie in [0, 1]: value * 255. Floats that lie in [0, 255]: value.
- Everything else (12-bit cameras, signed scans, counts): a straight line from the 0.1 to the
  99.9 percentile of the finite values, cut off beyond. One hot pixel cannot darken the picture.
- NaN and minus infinity are black, plus infinity is white.

With `robust` all values of more than 8 bits go by the percentiles: scans of one modality then look
alike, however much of their range each has used. So do 8 bits of which hardly any lies in the upper
half, fluorescence at low exposure for one; they become 8 times as light at most, so that a picture
of nothing stays dark. The slices of a volume, pages of a TIFF stack among them, share one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Value = TypeVar("_Value", bound=np.generic)
_BAND = 2_000_000  # pixels of one band
_SAMPLE = 1_000_000  # values looked at to choose the scaling
_PERCENTILES = (0.1, 99.9)
_LIGHTEST = 8.0  # times: what is made of dim 8 bits at most


@dataclass(frozen=True, slots=True)
class Scaling:
    """The straight line that takes `low` to 0 and `high` to 255."""

    low: float
    high: float

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return `values` as uint8, rounded to the nearest, same shape."""
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return np.asarray(values, dtype=np.uint8)
        if values.dtype == np.uint8:
            every = np.arange(256, dtype=np.uint8)
            return self._scale(every)[values.astype(np.uint8, copy=False)]
        if values.dtype.kind in "iu" and values.dtype.itemsize == 2:
            # 65536 values at most: each is scaled once and looked up, ten times as fast.
            every = np.arange(65536, dtype=np.uint16).view(f"{values.dtype.kind}2")
            native = values.astype(every.dtype, copy=False)
            return self._scale(every)[native.view(np.uint16)]
        return self._scale(values)

    def _scale(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        wide = np.nan_to_num(
            np.asarray(values, dtype=np.float64), nan=self.low, posinf=self.high, neginf=self.low
        )
        # Divided before subtracting: high - low may overflow for values near the end of a double.
        half = self.high / 2 - self.low / 2
        level = (wide / 2 - self.low / 2) / half * 255
        return np.rint(np.clip(level, 0, 255)).astype(np.uint8)


def choose_scaling(sample: NDArray[np.generic], *, robust: bool = False) -> Scaling:
    """Return the scaling for values like those of `sample` (any shape), by the module's rule."""
    kind = sample.dtype.kind
    if kind == "b":
        return Scaling(0.0, 1.0)
    if kind == "u":
        limit = float(2 ** (8 * sample.dtype.itemsize) - 1)
        is_full = sample.size > 0 and float(sample.max()) > limit / 2
        if limit == 255:
            return _scaling_of_dim(sample) if robust and sample.size else Scaling(0.0, limit)
        if is_full and not robust:
            return Scaling(0.0, limit)
    finite = sample[np.isfinite(sample)] if kind == "f" else sample
    if not finite.size:
        return Scaling(0.0, 1.0)
    smallest, largest = float(finite.min()), float(finite.max())
    if kind == "f" and smallest >= 0 and largest <= 255 and not robust:
        return Scaling(0.0, 1.0 if largest <= 1 else 255.0)
    low, high = (float(v) for v in np.percentile(finite.astype(np.float64), _PERCENTILES))
    if high <= low:
        low, high = smallest, largest
    if high <= low:  # one value only: black if it is zero or less, else white
        return Scaling(min(low, 0.0), max(high, 0.0)) if low else Scaling(0.0, 1.0)
    return Scaling(low, high)


def _scaling_of_dim(sample: NDArray[np.generic]) -> Scaling:
    """Return the scaling of 8 bits: as they are, or lighter where the upper half is not used."""
    low, high = (float(v) for v in np.percentile(sample.astype(np.uint8), _PERCENTILES))
    if high >= 128:
        return Scaling(0.0, 255.0)
    return Scaling(low, max(high, low + 255 / _LIGHTEST))


def is_surely_light(light: int, most: int) -> bool:
    """Say whether 8 bits stay as they are, whatever those that were not looked at are.

    Parameters
    ----------
    light
        How many are known to lie in the upper half.
    most
        How many there are at most.
    """
    return light >= most * (100 - _PERCENTILES[1]) / 100 + 2  # 2: between which values it lies


def array_to_rgb(
    pixels: NDArray[np.generic], *, alpha: bool = False, robust: bool = False
) -> NDArray[np.uint8]:
    """Return `pixels`, shape (Y, X) or (Y, X, S), as uint8 RGB, shape (Y, X, 3).

    One or two samples are grey, of more the first three are red, green and blue. With `alpha`
    the last sample is opacity, and the picture is laid on white.
    """
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, count = planes.shape
    colors = planes[..., : min(3, count - alpha) if count - alpha >= 3 else 1]
    scaling = choose_scaling(thin_out(colors), robust=robust)
    opacity = choose_scaling(thin_out(planes[..., -1:])) if alpha else None
    result = np.empty((height, width, 3), np.uint8)
    for rows in bands(height, width):
        band = scaling.apply(colors[rows])
        if opacity is not None:
            band = lay_on_white(band, opacity.apply(planes[rows][..., -1:]))
        result[rows] = band
    return result


def bands(height: int, width: int) -> Iterator[slice]:
    """Give the rows of a picture in slices of about two megapixels."""
    step = max(1, _BAND // max(1, width))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def thin_out(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an evenly spread part of `values`, shape (Y, X, S), of about a million values."""
    step = max(1, int(np.ceil(np.sqrt(values.size / _SAMPLE))))
    return values[::step, ::step]


def lay_on_white(colors: NDArray[np.uint8], opacity: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `colors` (Y, X, S) seen over white through `opacity` (Y, X, 1)."""
    share = opacity.astype(np.uint16)
    mixed = colors * share + 255 * (255 - share)  # at most 65025: fits 16 bits
    return ((mixed + np.uint16(127)) // np.uint16(255)).astype(np.uint8)


def turn_upright(pixels: NDArray[_Value], orientation: int) -> NDArray[_Value]:
    """Return `pixels` (Y, X[, S]) as the EXIF `orientation` (1 to 8, else 1) wants them seen."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    flips: dict[int, Iterable[int]] = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
    return np.ascontiguousarray(np.flip(pixels, tuple(flips.get(orientation, ()))))
