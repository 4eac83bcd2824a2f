"""The order of a slide's tiles: compact shards, and which of them come first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_medssl.index.arrays import TileRows, shard_rows


def compact_order(locations: NDArray[np.integer], size: int) -> NDArray[np.int64]:
    """Return the order in which tiles that follow each other lie near each other.

    The places are counted in tiles and sorted along Morton's curve (Z-order), so that the tiles of
    a shard fill a square rather than a thin strip.

    Parameters
    ----------
    locations
        Corners `(x, y)` at level 0, shape (N, 2), not negative.
    size
        Side of a tile in level-0 pixels.
    """
    x, y = (np.asarray(locations[:, axis] // size, np.uint64) for axis in (0, 1))
    order: NDArray[np.int64] = np.lexsort((locations[:, 0], locations[:, 1], _spread(x, y)))
    return order


def nearest_shards(
    tiles: TileRows, shards: Sequence[int], point: tuple[float, float]
) -> tuple[int, ...]:
    """Return the shards by the distance of their nearest tile from a level-0 point."""

    def distance(shard: int) -> float:
        rows = tiles[shard_rows(shard, len(tiles))]
        x = rows["x"] + rows["size"] / 2 - point[0]
        y = rows["y"] + rows["size"] / 2 - point[1]
        return float((x * x + y * y).min())

    return tuple(sorted(shards, key=distance))


def _spread(x: NDArray[np.uint64], y: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers whose even bits are those of x and whose odd bits are those of y."""
    code = np.zeros(x.shape, np.uint64)
    one = np.uint64(1)
    for bit in range(32):
        place = np.uint64(bit)
        code |= ((x >> place) & one) << np.uint64(2 * bit)
        code |= ((y >> place) & one) << np.uint64(2 * bit + 1)
    return code
