"""The pixels that level 0 of a store holds: the slide's own, or scaled from its best level."""

from __future__ import annotations

import math

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.slides.protocol import Pixels, Slide, SlideReadError

_SAME = 0.01  # relative: a resolution nearer than this to a level's own is taken as that level
_MOST_SOURCE_SIDE = 2048  # pixels read at once to scale them
_BAND = 512  # rows read at once of a whole slide


class SlideSource:
    """A slide at one resolution.

    Parameters
    ----------
    slide
        Where the pixels come from.
    step
        How many level-0 pixels make a pixel along x and y, at least 1.

    Attributes
    ----------
    width, height
        Size in pixels at that resolution.
    step
        As asked, or that of the level that is taken as it is because it differs by less than 1 %.
    level
        The level of the slide that is read: the smallest that is at least as fine.

    Notes
    -----
    Scaled pixels are filtered as tiles are (`io.tile_sampling`): with a triangle as wide as two new
    pixels, so that a tile looks the same from the slide and from its store; the upper left corner
    stays in place. Parts fit together without a seam.
    """

    def __init__(self, slide: Slide, step: tuple[float, float] = (1.0, 1.0)) -> None:
        self.slide = slide
        self.level = _best_level(slide, min(step))
        self.width, self.height = slide.level_dimensions[self.level]
        downsample = slide.level_downsamples[self.level]
        self._scale = (step[0] / downsample, step[1] / downsample)
        if all(math.isclose(scale, 1, rel_tol=_SAME) for scale in self._scale):
            self._scale = (1.0, 1.0)
            self.step = (downsample, downsample)
        else:
            self.width = _whole_pixels(self.width / self._scale[0])
            self.height = _whole_pixels(self.height / self._scale[1])
            self.step = step

    @classmethod
    def at_mpp(cls, slide: Slide, mpp: float) -> SlideSource:
        """Return the slide at `mpp` microns per pixel.

        Raises
        ------
        UserError
            If that is finer than the slide, or the slide does not say its own.
        """
        full = slide.mpp
        if full is None:
            raise UserError(
                f"{slide.name!r} does not say how large its pixels are, so it cannot be converted "
                f"to {mpp:g} microns per pixel. Leave out --mpp to keep its pixels."
            )
        if mpp < max(full) * (1 - _SAME):
            raise UserError(
                f"{slide.name!r} has {max(full):g} microns per pixel; {mpp:g} is finer, which it "
                f"cannot give. Ask for {max(full):g} or more."
            )
        return cls(slide, (max(1.0, mpp / full[0]), max(1.0, mpp / full[1])))

    @property
    def mpp(self) -> tuple[float, float] | None:
        """Microns per pixel along x and y that the pixels have; None if the slide says none."""
        full = self.slide.mpp
        return None if full is None else (full[0] * self.step[0], full[1] * self.step[1])

    @property
    def is_scaled(self) -> bool:
        """Whether pixels are made from those of the slide rather than taken over."""
        return self._scale != (1.0, 1.0)

    def read(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Return a part that lies inside, shape (height, width, 3).

        Raises
        ------
        SlideReadError
            If the file is damaged there; it names the tile.
        """
        if not self.is_scaled:
            return self._read_slide(x, y, width, height)
        result = np.empty((height, width, 3), np.uint8)
        step = max(1, int(_MOST_SOURCE_SIDE / max(self._scale)))
        for top in range(0, height, step):
            for left in range(0, width, step):
                part = result[top : top + step, left : left + step]
                part[:] = self._scaled(x + left, y + top, part.shape[1], part.shape[0])
        return result

    def read_all(self) -> Pixels:
        """Return the whole slide at this resolution, shape (height, width, 3)."""
        result = np.empty((self.height, self.width, 3), np.uint8)
        for top in range(0, self.height, _BAND):
            band = result[top : top + _BAND]
            band[:] = self.read(0, top, self.width, band.shape[0])
        return result

    def _scaled(self, x: int, y: int, width: int, height: int) -> Pixels:
        from PIL import Image

        size = self.slide.level_dimensions[self.level]
        x0, x1, left, right = _needed(x, width, self._scale[0], size[0])
        y0, y1, top, bottom = _needed(y, height, self._scale[1], size[1])
        pixels = Image.fromarray(self._read_slide(x0, y0, x1 - x0, y1 - y0))
        # Pillow reaches over the box for the window, so that parts meet without a seam.
        box = (left, top, right, bottom)
        return np.asarray(pixels.resize((width, height), Image.Resampling.BILINEAR, box))

    def _read_slide(self, x: int, y: int, width: int, height: int) -> Pixels:
        try:
            return self.slide.read_pixels(self.level, (x, y), (width, height))
        except SlideReadError as error:
            raise self._bad_tile(error, x, y, width, height) from error

    def _bad_tile(
        self, error: SlideReadError, x: int, y: int, width: int, height: int
    ) -> SlideReadError:
        """Return the error of the first tile in the part that cannot be read."""
        across, down = self.slide.tile_size(self.level)
        if error.size[0] <= across and error.size[1] <= down:
            return error
        for tile_y in range(y // down * down, y + height, down):
            for tile_x in range(x // across * across, x + width, across):
                try:
                    self.slide.read_pixels(self.level, (tile_x, tile_y), (across, down))
                except SlideReadError as found:
                    return found
        return error


def _best_level(slide: Slide, step: float) -> int:
    """Return the smallest level whose pixels are no larger than `step` level-0 pixels."""
    downsamples = enumerate(slide.level_downsamples)
    return max((n for n, value in downsamples if value <= step * (1 + _SAME)), default=0)


def _whole_pixels(length: float) -> int:
    """Return how many new pixels lie wholly inside; at least one."""
    return max(1, math.floor(length + 1e-6))


def _needed(start: int, count: int, scale: float, size: int) -> tuple[int, int, float, float]:
    """Return first and last source pixel to read along an axis, and the box inside them."""
    first, last = start * scale, min((start + count) * scale, float(size))
    reach = math.ceil(scale) + 1  # the window is one new pixel to either side
    low = max(0, math.floor(first) - reach)
    high = min(size, math.ceil(last) + reach)
    return low, high, first - low, min(last - low, float(high - low))
