"""Make slides look alike: Reinhard's colour transfer in CIELAB, fitted on tissue alone.

Reinhard et al., Color transfer between images, IEEE CG&A 21 (2001), equations 10 to 12: for each
of L, a and b

    value' = (value - mean of the source) * std of the reference / std of the source
             + mean of the reference

We differ: CIELAB (D65) stands for Ruderman's l-alpha-beta, as is usual for stained sections; the
statistics are those of stained pixels, since the share of glass in a picture would move them; and
glass keeps its colour. The statistics of a slide are fitted once, so that its tiles stay alike.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.slides.protocol import Slide
from napari_medssl.io.tile_table import TileTable
from napari_medssl.io.tiles import TileReader

Rgb = NDArray[np.uint8]
Lab = NDArray[np.float32]

_LEAST_PIXELS = 100
_TABLE_FROM = 2**23  # pixels; the table costs as much as twice as many
_DARKEST_GLASS = 180.0
_MOST_TINT = 25.0  # grey levels between the channels of glass; of real slides up to 24 were seen
_BINS = 65536  # of the tables for roots and powers: less than half a grey level apart
_GLASS, _STAINED = 0.05, 0.15  # mean optical density, up to which glass is and from which stain
_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)  # linear sRGB, ITU-R BT.709
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


@dataclass(frozen=True, slots=True)
class StainStatistics:
    """Mean and standard deviation of L, a and b over the stained pixels of a slide.

    `glass` is its colour without stain, red, green, blue.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    glass: tuple[float, float, float] = (255.0, 255.0, 255.0)


REFERENCES = {"he": StainStatistics((47.06, 29.10, -12.67), (19.15, 12.05, 9.86))}
"""Built-in references: "he" is haematoxylin and eosin, the slide CMU-1 (CC0) at 0.5 um/px."""


def fit_stain(rgb: Rgb, tissue: NDArray[np.bool_] | None = None) -> StainStatistics:
    """Return the statistics of a picture or of a batch of tiles.

    Parameters
    ----------
    rgb
        uint8, shape (..., 3). The brightest hundredth is taken for glass as far as it is grey:
        without glass it is pale tissue, of which the brightest channel alone tells of the light.
    tissue
        Pixels to look at, shape (...); by default those with stain.

    Raises
    ------
    UserError
        If fewer than 100 pixels are left, or they are all of one colour.
    """
    if not rgb.size:
        raise _too_few(0)
    bright = np.percentile(rgb.reshape(-1, 3), 99, axis=0)
    glass = np.maximum(bright, max(_DARKEST_GLASS, bright.max() - _MOST_TINT))
    chosen = rgb[_density(rgb, _density_tables(glass)) > _STAINED if tissue is None else tissue]
    if len(chosen) < _LEAST_PIXELS:
        raise _too_few(len(chosen))
    lab = rgb_to_lab(chosen).astype(np.float64)
    mean, std = lab.mean(axis=0), lab.std(axis=0)
    if (std < 1e-3).any():
        raise UserError("The stain cannot be fitted: all pixels are of one colour.")
    return StainStatistics(tuple(mean.tolist()), tuple(std.tolist()), tuple(glass.tolist()))


def fit_slide_stain(slide: Slide, table: TileTable, *, count: int = 64) -> StainStatistics:
    """Return the statistics of a slide from `count` of its tiles, spread over the table.

    Raises
    ------
    UserError
        As `fit_stain`; tiles that cannot be read are passed over.
    """
    chosen = np.unique(np.linspace(0, max(0, len(table) - 1), count).round().astype(np.int64))
    locations = table.locations[chosen[: len(table)]]
    reader = TileReader(slide, locations, table.size, table.source.pixels, on_bad_tile="skip")
    tiles = [batch.pixels for batch in reader]
    return fit_stain(np.concatenate(tiles) if tiles else np.empty((0, 3), np.uint8))


def _too_few(count: int) -> UserError:
    return UserError(
        f"The stain cannot be fitted: {count} stained pixels are there, due are "
        f"{_LEAST_PIXELS} or more. Choose a picture with tissue."
    )


class Reinhard:
    """Gives pictures of one slide the colours of a reference.

    Parameters
    ----------
    source
        Statistics of the slide.
    reference
        Statistics to reach, or the name of a built-in one.
    keep_glass
        Whether what has no stain keeps its colour; there is a smooth passage between.

    Raises
    ------
    UserError
        If no reference has this name.
    """

    def __init__(
        self,
        source: StainStatistics,
        reference: StainStatistics | str = "he",
        *,
        keep_glass: bool = True,
    ) -> None:
        if isinstance(reference, str):
            if reference not in REFERENCES:
                raise UserError(
                    f"There is no stain reference {reference!r}; choose one of "
                    f"{', '.join(map(repr, REFERENCES))} or fit one on a picture."
                )
            reference = REFERENCES[reference]
        ratio = np.array(reference.std) / np.array(source.std)
        self._scale = ratio.astype(np.float32)
        self._shift = (np.array(reference.mean) - np.array(source.mean) * ratio).astype(np.float32)
        self._keep_glass = keep_glass
        self._densities = _density_tables(np.array(source.glass))
        self._every: NDArray[np.uint32] | None = None
        self._seen = 0
        self._lock = threading.Lock()

    def __call__(self, rgb: Rgb) -> Rgb:
        """Return the picture or the tiles, shape (..., 3), in the colours of the reference.

        May be called from several threads. After some megapixels the answer for every colour is
        kept in a table of 64 MB, which is the same and several times as fast.
        """
        table = self._table(rgb.size // 3)
        if table is None:
            return self._compute(rgb)
        place = rgb[..., 0].astype(np.uint32)
        place <<= 8
        place |= rgb[..., 1]
        place <<= 8
        place |= rgb[..., 2]
        return np.ascontiguousarray(table[place][..., None].view(np.uint8)[..., :3])

    def _table(self, pixels: int) -> NDArray[np.uint32] | None:
        """Return the table of every colour if it is worth its making."""
        with self._lock:
            self._seen += pixels
            if self._every is None and self._seen > _TABLE_FROM:
                shade = np.arange(256, dtype=np.uint8)
                green, blue = np.meshgrid(shade, shade, indexing="ij")
                every = np.zeros((256, 256, 256, 4), np.uint8)
                for red in range(256):
                    colors = np.stack([np.full_like(green, red), green, blue], axis=-1)
                    every[red, ..., :3] = self._compute(colors)
                self._every = every.view(np.uint32).ravel()
            return self._every

    def _compute(self, rgb: Rgb) -> Rgb:
        lab = rgb_to_lab(rgb) * self._scale + self._shift
        moved = lab_to_rgb(lab)
        if not self._keep_glass:
            return moved
        stain = _density(rgb, self._densities) - np.float32(_GLASS)
        share = np.clip(stain / np.float32(_STAINED - _GLASS), 0, 1)[..., None]
        mixed: NDArray[np.float32] = moved * share + rgb * (1 - share) + np.float32(0.5)
        return mixed.astype(np.uint8)


def rgb_to_lab(rgb: Rgb) -> Lab:
    """Return CIELAB (D65) of sRGB, float32, shape (..., 3); within 0.1 of the exact values."""
    linear, root, _ = _tables()
    planes = [linear[rgb[..., channel]] for channel in range(3)]
    x, y, z = (root[_bins(plane)] for plane in _mixed(planes, _TO_XYZ / _WHITE[:, None]))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(lab: Lab) -> Rgb:
    """Return sRGB of CIELAB (D65), uint8, shape (..., 3); colours that it lacks are cut off."""
    _, _, gamma = _tables()
    y = (lab[..., 0] + 16) / 116
    roots = (y + lab[..., 1] / 500, y, y - lab[..., 2] / 200)
    straight = np.float32(3 * (6 / 29) ** 2)
    xyz = [np.where(f > 6 / 29, f * f * f, (f - np.float32(4 / 29)) * straight) for f in roots]
    matrix = np.linalg.inv(_TO_XYZ) * _WHITE
    return np.stack([gamma[_bins(plane)] for plane in _mixed(xyz, matrix)], axis=-1)


def _mixed(planes: Sequence[Lab], matrix: NDArray[np.float64]) -> list[Lab]:
    """Return each row of `matrix` (3, 3) times the planes.

    Written out, so that a colour gives the same bits in a picture of any shape; BLAS does not.
    """
    rows = matrix.astype(np.float32)
    return [planes[0] * row[0] + planes[1] * row[1] + planes[2] * row[2] for row in rows]


def _bins(plane: Lab) -> NDArray[np.uint16]:
    scaled = plane * np.float32(_BINS - 1) + np.float32(0.5)
    held: NDArray[np.float32] = np.clip(scaled, 0, _BINS - 1)
    return held.astype(np.uint16)


@cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Return sRGB to linear (256), the root of CIELAB and linear to sRGB (both `_BINS`)."""
    value = np.arange(256) / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    step = np.arange(_BINS) / (_BINS - 1)
    root = np.where(step > (6 / 29) ** 3, np.cbrt(step), step / (3 * (6 / 29) ** 2) + 4 / 29)
    srgb = np.where(step > 0.0031308, 1.055 * step ** (1 / 2.4) - 0.055, 12.92 * step)
    return (
        linear.astype(np.float32),
        root.astype(np.float32),
        np.rint(255 * srgb).astype(np.uint8),
    )


def _density_tables(glass: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a third of the natural optical density of each value, shape (3, 256)."""
    values = np.arange(256) + 1.0
    return (np.log((glass[:, None] + 1) / values) / 3).astype(np.float32)


def _density(rgb: Rgb, tables: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean density against the glass, shape (...)."""
    return np.asarray(sum(tables[channel][rgb[..., channel]] for channel in range(3)))
