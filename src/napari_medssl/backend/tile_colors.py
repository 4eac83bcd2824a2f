"""Paint the tiles of a slide as a small picture: pale where shown, framed where selected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PALE, INSIDE, FRAME = 90, 70, 255
"""Opacity of tiles that are shown, of the inside of those that are selected, and of their frames,
of 255."""

_MOST_CELLS = 1_000_000  # a picture of so many is drawn in some 10 ms
_FINEST = 16  # cells along the side of a tile: a frame is a cell wide


@dataclass(frozen=True, slots=True)
class TileGrid:
    """A grid that tiles of a slide lie on.

    Attributes
    ----------
    corner
        Location `(x, y)` of its first cell, level-0 pixels.
    step
        Side of a cell, level-0 pixels.
    shape
        Cells `(rows, columns)`.
    cells
        Row and column of each tile's first cell, int64, shape (N, 2).
    width
        Cells along the side of a tile.
    """

    corner: tuple[int, int]
    step: float
    shape: tuple[int, int]
    cells: NDArray[np.int64]
    width: int


def grid_of(locations: NDArray[np.int64], sizes: NDArray[np.int64]) -> TileGrid:
    """Return a grid that is as fine as shows frames around tiles, where that is possible.

    Parameters
    ----------
    locations
        Corners `(x, y)` at level 0, shape (N, 2), N > 0.
    sizes
        Sides in level-0 pixels, shape (N,).
    """
    corner = locations.min(axis=0)
    side = max(1, int(np.median(sizes)))
    places = locations - corner
    extent = (places.max(axis=0) + side).astype(np.float64)
    coarsest = float(np.sqrt(extent.prod() / _MOST_CELLS))
    width = max(1, min(_FINEST, side, int(side / coarsest)))
    step = max(side / width, coarsest)
    cells = np.round(places / step).astype(np.int64)[:, ::-1]
    rows, columns = (cells.max(axis=0) + width).tolist()
    return TileGrid((int(corner[0]), int(corner[1])), step, (rows, columns), cells, width)


def paint_tiles(
    grid: TileGrid,
    colors: NDArray[np.uint8],
    is_lit: NDArray[np.bool_],
    is_selected: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Return the tiles in their colours, RGBA, shape (rows, columns, 4); nothing where none is.

    Parameters
    ----------
    colors
        RGB of each tile, shape (N, 3).
    is_lit, is_selected
        Which tiles are painted, and which of them have a frame, shape (N,).
    """
    picture = np.zeros((*grid.shape, 4), np.uint8)
    cells = picture.view(np.uint32)[..., 0]
    inks = np.concatenate([colors, np.zeros((len(colors), 1), np.uint8)], axis=1)
    steps = np.arange(grid.width)
    down, right = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    is_edge = (np.minimum(down, right) == 0) | (np.maximum(down, right) == grid.width - 1)
    for chosen, inside, edge in (
        (is_lit & ~is_selected, PALE, PALE),
        (is_selected, INSIDE if grid.width > 2 else FRAME - PALE, FRAME),
    ):
        for part, opacity in ((~is_edge, inside), (is_edge, edge if grid.width > 2 else inside)):
            inks[:, 3] = opacity
            ink = np.ascontiguousarray(inks[chosen]).view(np.uint32)
            rows = grid.cells[chosen, 0, None] + down[part]
            columns = grid.cells[chosen, 1, None] + right[part]
            cells[rows, columns] = ink
    return picture
