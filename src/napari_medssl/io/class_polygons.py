"""The objects of a mask as polygons along the edges of pixels: no pixel more, none less.

A vertex `(x, y)` is a corner of pixels: the top left pixel is the square from (0, 0) to (1, 1), as
in QuPath. What touches at a corner only is one object of several polygons that meet there.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

_TOUCHING = np.ones((3, 3), np.uint8)
Ring = list[tuple[int, int]]


def object_shapes(inside: NDArray[np.bool_]) -> list[BaseGeometry]:
    """Return the shape of each object, a polygon with its holes or several of them.

    Parameters
    ----------
    inside
        Where the objects are, bool, shape (Y, X). Pixels that touch, also at a corner only, are of
        one object; they come in the order in which rows meet them.
    """
    from scipy import ndimage

    parts, _ = ndimage.label(inside)
    objects, count = ndimage.label(inside, _TOUCHING)
    shapes: list[list[shapely.Polygon]] = [[] for _ in range(count)]
    for (y, x), polygon in _polygons(inside, parts):
        shapes[objects[y, x] - 1].append(polygon)
    return [one[0] if len(one) == 1 else shapely.MultiPolygon(one) for one in shapes]


def joined(shapes: list[BaseGeometry]) -> BaseGeometry:
    """Return shapes of `object_shapes` as one."""
    polygons = [polygon for shape in shapes for polygon in shapely.get_parts(shape)]
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def _polygons(
    inside: NDArray[np.bool_], parts: NDArray[np.int32]
) -> list[tuple[tuple[int, int], shapely.Polygon]]:
    """Return the polygon of each part, and a pixel `(y, x)` in it.

    `parts` numbers what is joined by sides: such a part has one outer ring, the others are holes.
    """
    outer: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    pixel: dict[int, tuple[int, int]] = {}
    for (y, x), whole in _rings(inside):
        part = int(parts[y, x])
        pixel[part] = (y, x)
        for ring in _simple_rings(whole):
            if _is_outer(ring):
                outer[part] = ring
            else:
                holes.setdefault(part, []).append(ring)
    return [
        (pixel[part], shapely.Polygon(outer[part], holes.get(part, ()))) for part in sorted(outer)
    ]


def _rings(inside: NDArray[np.bool_]) -> list[tuple[tuple[int, int], Ring]]:
    """Return the outlines with what is inside on the right, and a pixel `(y, x)` inside of each."""
    starts, follow, pixels = _segments(inside)
    is_open = np.ones(len(starts), bool)
    corners, after = starts.tolist(), follow.tolist()
    rings = []
    for first in range(len(corners)):
        if not is_open[first]:
            continue
        ring, at = [], first
        while is_open[at]:
            is_open[at] = False
            ring.append((corners[at][0], corners[at][1]))
            at = after[at]
        rings.append(((int(pixels[first, 0]), int(pixels[first, 1])), ring))
    return rings


def _segments(
    inside: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the straight pieces of the outlines, those to the right first, then down, left, up.

    Returns
    -------
    starts
        Where each begins, `(x, y)`, shape (N, 2).
    follow
        The piece that goes on where it ends, shape (N,).
    pixels
        A pixel `(y, x)` at its right, shape (N, 2).
    """
    padded = np.pad(inside, 1)
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    starts, ends, pixels = [], [], []
    for number, neighbour in enumerate(neighbours):  # above, right, below, left
        edges = inside & ~neighbour
        is_upright, is_backward = number % 2 == 1, number > 1
        line, low, high = _runs(edges.T if is_upright else edges)
        border = line + (number in (1, 2))  # that of the pixels which is farther right or down
        along = (high, low) if is_backward else (low, high)
        first, last = (np.stack([place, border], axis=1) for place in along)
        pixel = np.stack([line, low], axis=1)
        starts.append(first[:, ::-1] if is_upright else first)
        ends.append(last[:, ::-1] if is_upright else last)
        pixels.append(pixel[:, ::-1] if is_upright else pixel)
    return (
        np.concatenate(starts),
        _follow(starts, ends, inside.shape[1] + 1),
        np.concatenate(pixels),
    )


def _runs(
    edges: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the runs of True along rows: row, first column, and the one behind the last."""
    framed = np.pad(edges, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(framed, axis=1)
    line, low = np.nonzero(steps == 1)
    _, high = np.nonzero(steps == -1)
    return line, low, high


def _follow(
    starts: list[NDArray[np.int64]], ends: list[NDArray[np.int64]], width: int
) -> NDArray[np.int64]:
    """Return for each piece the one that begins where it ends: that to the right, if there is one.

    So the outline of a pixel that touches another at a corner stays with its own pixel.
    """
    offsets = np.cumsum([0, *(len(one) for one in starts)])
    keys = [one[:, 1] * width + one[:, 0] for one in starts]
    found = []
    for number, end in enumerate(ends):
        due = end[:, 1] * width + end[:, 0]
        chosen = np.full(len(due), -1)
        for turn in ((number - 1) % 4, (number + 1) % 4):  # what is found last, to the right, wins
            order = np.argsort(keys[turn])
            at = np.searchsorted(keys[turn][order], due)
            at = np.minimum(at, max(0, len(order) - 1))
            fits = keys[turn][order][at] == due if len(order) else np.zeros(len(due), bool)
            chosen[fits] = offsets[turn] + order[at[fits]]
        found.append(chosen)
    return np.concatenate(found)


def _simple_rings(ring: Ring) -> list[Ring]:
    """Return the rings without a repeated corner that a ring is made of."""
    found: list[Ring] = []
    path: Ring = []
    place: dict[tuple[int, int], int] = {}
    for corner in ring:
        if corner in place:
            loop = path[place[corner] :]
            found.append(loop)
            for one in loop[1:]:
                del place[one]
            del path[place[corner] + 1 :]
            continue
        place[corner] = len(path)
        path.append(corner)
    return [*found, path]


def _is_outer(ring: Ring) -> bool:
    """Say whether a ring has what is inside on its right, y down."""
    x, y = np.array(ring, np.int64).T
    return bool((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0)
