"""Draw areas into a mask: a pixel belongs to an area if its centre lies inside.

Inside is by the even-odd rule over all rings, so holes and several parts need no care. The rule
is exact for pixel centres, unlike that of drawing libraries, which also paint the outline.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from napari_medssl.backend.jobs import Cancelled, ShouldStop, never

_BAND_PIXELS = 4_000_000  # drawn at a time: what bounds the memory
_CROSSINGS = 4_000_000


def fill(
    mask: np.ndarray,
    shape: BaseGeometry,
    value: int,
    downsample: float = 1.0,
    *,
    should_stop: ShouldStop = never,
) -> None:
    """Set the pixels of a mask that lie in a polygon or multipolygon.

    Parameters
    ----------
    mask
        Mask to draw into, shape (Y, X), changed in place. Pixel `(row, column)` has its centre at
        `((column + 0.5) * downsample, (row + 0.5) * downsample)`.
    shape
        Area in pixels of level 0; what lies outside the mask is left out.
    value
        What to set.
    downsample
        Pixels of level 0 along a side of a mask pixel.
    should_stop
        Asked once per band of rows; `Cancelled` is raised if it says so.
    """
    edges = _edges(shape) / downsample - 0.5  # pixel centres are whole numbers now
    if not len(edges):
        return
    height, width = mask.shape
    left = max(0, int(np.ceil(edges[:, 0::2].min())))
    right = min(width, int(np.floor(edges[:, 0::2].max())) + 1)
    first = np.ceil(np.minimum(edges[:, 1], edges[:, 3]))
    last = np.ceil(np.maximum(edges[:, 1], edges[:, 3]))  # one behind: a vertex counts once
    top, bottom = max(0, int(first.min())), min(height, int(last.max()))
    if left >= right:
        return
    step = max(1, _BAND_PIXELS // (right - left + 1))
    for row in range(top, bottom, step):
        if should_stop():
            raise Cancelled
        end = min(bottom, row + step)
        hit = (first < end) & (last > row)
        inside = _inside(edges[hit], (row, end), (left, right))
        mask[row:end, left:right][inside] = value


def _edges(shape: BaseGeometry) -> np.ndarray:
    """Return x0, y0, x1, y1 of the edges that are not level, shape (N, 4)."""
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    rings = shapely.get_rings(np.array(polygons, dtype=object))
    found = [np.zeros((0, 4))]
    for ring in rings:
        xy = shapely.get_coordinates(ring)
        found.append(np.hstack([xy[:-1], xy[1:]]))
    edges: np.ndarray = np.concatenate(found)
    kept: np.ndarray = edges[edges[:, 1] != edges[:, 3]]
    return kept


def _inside(edges: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """Return which pixels of a band lie inside, bool, shape (rows, columns)."""
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    turns = np.zeros(height * (width + 1), dtype=np.uint8)
    for row, x in _crossings(edges, rows):
        # The area begins, or ends, at the first centre that is not left of the crossing.
        column = np.clip(np.ceil(x) - columns[0], 0, width).astype(np.int64)
        place = (row - rows[0]) * (width + 1) + column
        turns ^= (np.bincount(place, minlength=len(turns)) & 1).astype(np.uint8)
    parity: np.ndarray = np.bitwise_xor.accumulate(turns.reshape(height, width + 1), axis=1)
    inside: np.ndarray = parity[:, :width] == 1
    return inside


def _crossings(edges: np.ndarray, rows: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows and x where edges cross the centres of rows, not too many at a time."""
    first = np.clip(np.ceil(np.minimum(edges[:, 1], edges[:, 3])), *rows).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(edges[:, 1], edges[:, 3])), *rows).astype(np.int64)
    counts = last - first
    total = np.cumsum(counts)
    cuts = np.searchsorted(total, np.arange(_CROSSINGS, total[-1] if len(total) else 0, _CROSSINGS))
    for part in np.split(np.arange(len(edges)), cuts):
        n = counts[part]
        starts = np.repeat(np.cumsum(n) - n, n)
        row = np.repeat(first[part], n) + np.arange(n.sum()) - starts
        x0, y0, x1, y1 = np.repeat(edges[part], n, axis=0).T
        yield row, x0 + (row - y0) * ((x1 - x0) / (y1 - y0))
