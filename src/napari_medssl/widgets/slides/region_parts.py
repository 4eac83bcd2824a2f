"""A region as the shapes that napari draws, and back.

napari draws shapes without holes, so every ring of a region is a shape of its own. Vertices are
(y, x) with the centre of a pixel at whole coordinates; regions are (x, y) in pixels of level 0
that count from the corner, half a pixel further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from napari_medssl.io.geojson.feature import Roi, ellipse, rectangle
from napari_medssl.state.region_shapes import areas

ELLIPSE_POINTS = 100


@dataclass(frozen=True)
class Part:
    """A shape of a region.

    Attributes
    ----------
    kind
        napari's word: "rectangle", "ellipse", "polygon" or "path".
    vertices
        (y, x), shape (N, 2).
    piece, ring
        Which polygon, line or point of the region, and which ring of it: 0 is the outline, the
        others are holes.
    is_point
        True for a point, which is drawn as a small circle.
    """

    kind: str
    vertices: np.ndarray
    piece: int = 0
    ring: int = 0
    is_point: bool = False


def to_napari(coordinates: np.ndarray) -> np.ndarray:
    """Return (x, y) from the corner as (y, x) from the centre of the first pixel."""
    return np.asarray(coordinates, float)[:, 1::-1] - 0.5


def from_napari(vertices: np.ndarray) -> np.ndarray:
    """Return what `to_napari` was given."""
    return np.asarray(vertices, float)[:, -2:][:, ::-1] + 0.5


def parts_of(roi: Roi, point_radius: float) -> list[Part]:
    """Return the shapes of a region; points get circles of a radius in pixels of level 0."""
    if roi.kind in ("rectangle", "ellipse"):
        return [Part(roi.kind, _corners(roi.shape))]
    found: list[Part] = []
    for piece, shape in enumerate(_simple(roi.shape)):
        if shape.geom_type == "Point":
            circle = shape.buffer(point_radius).envelope
            found.append(Part("ellipse", _corners(circle), piece, is_point=True))
        elif shape.geom_type == "Polygon":
            for ring, line in enumerate([shape.exterior, *shape.interiors]):
                vertices = to_napari(shapely.get_coordinates(line)[:-1])
                found.append(Part("polygon", vertices, piece, ring))
        else:
            found.append(Part("path", to_napari(shapely.get_coordinates(shape)), piece))
    return found


def roi_of_parts(former: Roi, parts: Sequence[Part]) -> Roi | None:
    """Return a region made of shapes that a person changed, None if nothing is left.

    Parameters
    ----------
    former
        The region before.
    parts
        The shapes of `parts_of` with their vertices as they are now; those deleted left out.
    """
    if former.kind in ("rectangle", "ellipse"):
        if not parts:
            return None
        drawn = drawn_roi(parts[0].kind, parts[0].vertices)
        if drawn is None:
            return former
        return replace(former, shape=drawn.shape, is_ellipse=drawn.is_ellipse)
    pieces = []
    for piece in sorted({part.piece for part in parts}):
        shape = _piece([part for part in parts if part.piece == piece])
        if shape is not None:
            pieces.append(shape)
    if not pieces:
        return None
    shape = pieces[0] if len(pieces) == 1 else _together(pieces)
    return replace(former, shape=shape, is_ellipse=False)


def drawn_roi(kind: str, vertices: np.ndarray) -> Roi | None:
    """Return the region that a shape of napari stands for, None for one without extent.

    Outlines that cross themselves, as freehand ones do, become sound areas.
    """
    points = from_napari(vertices)
    if kind in ("path", "line"):
        line = shapely.LineString(points) if len(points) > 1 else shapely.LineString()
        return Roi(line) if line.length > 0 else None
    if kind in ("rectangle", "ellipse") and _is_upright(points):
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        if x0 == x1 or y0 == y1:
            return None
        make = rectangle if kind == "rectangle" else ellipse
        return make(float(x0), float(y0), float(x1), float(y1))
    if kind == "ellipse":
        points = _turned_ellipse(points)
    if len(points) < 3:
        return None
    shape = areas(shapely.Polygon(points))
    return None if shape.is_empty or shape.area == 0 else Roi(shape)


def _corners(shape: BaseGeometry) -> np.ndarray:
    x0, y0, x1, y1 = shape.bounds
    return to_napari(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))


def _simple(shape: BaseGeometry) -> list[BaseGeometry]:
    parts = shapely.get_parts(shape)
    if len(parts) == 1 and parts[0].geom_type == shape.geom_type:
        return [shape]
    return [piece for part in parts for piece in _simple(part)]


def _piece(parts: list[Part]) -> BaseGeometry | None:
    """Return one polygon, line or point; holes without their outline are gone with it."""
    first = min(parts, key=lambda part: part.ring)
    if first.is_point:
        x, y = from_napari(first.vertices).mean(axis=0)
        return shapely.Point(x, y)
    if first.kind == "path":
        return shapely.LineString(from_napari(first.vertices))
    if first.ring:
        return None
    rings = [from_napari(part.vertices) for part in sorted(parts, key=lambda part: part.ring)]
    return shapely.Polygon(rings[0], [ring for ring in rings[1:] if len(ring) > 2])


def _together(pieces: list[BaseGeometry]) -> BaseGeometry:
    kinds = {piece.geom_type for piece in pieces}
    if kinds == {"Polygon"}:
        return shapely.MultiPolygon(pieces)
    if kinds == {"LineString"}:
        return shapely.MultiLineString(pieces)
    if kinds == {"Point"}:
        return shapely.MultiPoint(pieces)
    return shapely.GeometryCollection(pieces)


def _is_upright(points: np.ndarray) -> bool:
    if len(points) != 4:
        return False
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    bounds = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return bool(np.all(np.abs(points[:, None] - bounds[None]).max(axis=2).min(axis=1) < 1e-3))


def _turned_ellipse(corners: np.ndarray) -> np.ndarray:
    """Return points of the ellipse in a rectangle at an angle, its corners in order."""
    middle = corners.mean(axis=0)
    a, b = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = 2 * np.pi * np.arange(ELLIPSE_POINTS) / ELLIPSE_POINTS
    return np.asarray(middle + np.cos(angle)[:, None] * a + np.sin(angle)[:, None] * b)
