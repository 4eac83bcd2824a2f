"""The similarity of a slide's tiles to a query as a picture: one pixel a tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.index.results import SlideScores

_MOST_CELLS = 64_000_000


@dataclass(frozen=True, slots=True)
class SimilarityMap:
    """Similarities on the grid of the tiles.

    Attributes
    ----------
    values
        float32, shape (Y, X), NaN where no tile is.
    step
        Level-0 pixels from one tile to the next.
    middle
        Where the middle of the first cell is, in level-0 pixels along x and y.
    """

    values: NDArray[np.float32]
    step: int
    middle: tuple[float, float]

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest similarity; never the same."""
        low, high = float(np.nanmin(self.values)), float(np.nanmax(self.values))
        return low, max(high, low + 1e-3)

    def above(self, threshold: float) -> tuple[NDArray[np.float32], int]:
        """Return the values with NaN for those below a threshold, and how many are left."""
        with np.errstate(invalid="ignore"):
            is_in = self.values >= threshold
        values: NDArray[np.float32] = np.where(is_in, self.values, np.float32(np.nan))
        return values, int(is_in.sum())

    def area_mm2(self, count: int, mpp: tuple[float, float]) -> float:
        """Return the area of as many cells, in mm², given microns per level-0 pixel `(x, y)`."""
        return float(count * self.step**2 * mpp[0] * mpp[1] / 1e6)


def similarity_map(scores: SlideScores) -> SimilarityMap:
    """Put the scores of a slide's tiles onto their grid.

    Raises
    ------
    UserError
        If the slide has no tile.
    """
    tiles = scores.tiles
    if not len(tiles):
        raise UserError("The slide shows no tissue, so it has no tile and no heatmap.")
    size = int(tiles["size"][0])
    step = min((_pitch(tiles[axis]) for axis in "xy"), default=0) or size
    step = min(step, size)  # tiles that are far from each other are as wide as they are
    columns, rows = (tiles[axis].astype(np.int64) // step for axis in "xy")
    shape = int(rows.max()) + 1, int(columns.max()) + 1
    if shape[0] * shape[1] > _MOST_CELLS:
        raise UserError(f"A heatmap of {shape[1]} x {shape[0]} tiles is too large to be shown.")
    values = np.full(shape, np.nan, np.float32)
    values[rows, columns] = scores.similarity
    first = float(tiles["x"][0] % step), float(tiles["y"][0] % step)
    return SimilarityMap(values, step, (first[0] + size / 2, first[1] + size / 2))


def _pitch(places: NDArray[np.integer]) -> int:
    """Return the least distance of places that are not the same; 0 if all are."""
    distances = np.diff(np.unique(places.astype(np.int64)))
    return int(distances.min()) if len(distances) else 0
