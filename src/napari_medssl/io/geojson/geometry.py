"""GeoJSON geometries to shapely's and back, every coordinate to the last bit (RFC 7946, 3.1).

Coordinates are `(x, y)` in pixels of level 0, with a third number where the file has one. Whole
numbers are written without a decimal point, as QuPath writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from napari_medssl.io.annotations.documents import show

MAX_COORDINATE = 2.0**31
"""Largest coordinate in pixels: far beyond any slide, and areas stay exact enough in float64."""

_MAX_DEPTH = 8  # of geometry collections in each other
_NAMES = (
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
    "GeometryCollection",
)  # fmt: skip


class GeometryError(ValueError):
    """A geometry that cannot be read; its text is the reason for a person."""


def geometry_from_json(
    data: Any, note: Callable[[str], None] = lambda text: None, depth: int = 0
) -> BaseGeometry:
    """Return the geometry of a GeoJSON geometry object.

    `note` is told what had to be mended: rings that were not closed.

    Raises
    ------
    GeometryError
        If it is no geometry, is empty, or has a coordinate that is no finite number of at most
        `MAX_COORDINATE`.
    """
    if not isinstance(data, dict):
        raise GeometryError(f"no geometry, but {show(data)}")
    kind = data.get("type")
    if kind not in _NAMES:
        raise GeometryError(f"geometry of type {show(kind)}; due is one of {', '.join(_NAMES)}")
    if kind == "GeometryCollection":
        if depth == _MAX_DEPTH:
            raise GeometryError("geometry collections in each other, too deep")
        parts = _items(data.get("geometries"), "geometries")
        return shapely.GeometryCollection(
            [geometry_from_json(part, note, depth + 1) for part in parts]
        )
    items = _items(data.get("coordinates"), "coordinates")
    if kind == "Point":
        return shapely.Point(_positions([items])[0])
    if kind == "MultiPoint":
        return shapely.MultiPoint(_positions(items))
    if kind == "LineString":
        return _line(items)
    if kind == "MultiLineString":
        return shapely.MultiLineString([_line(line) for line in items])
    if kind == "Polygon":
        return _polygon(items, note)
    return shapely.MultiPolygon([_polygon(_items(part, "polygon"), note) for part in items])


def geometry_to_json(geometry: BaseGeometry) -> dict[str, Any]:
    """Return the GeoJSON object of a geometry: `type`, and `coordinates` or `geometries`."""
    kind = geometry.geom_type
    if kind == "GeometryCollection":
        return {"type": kind, "geometries": [geometry_to_json(part) for part in geometry.geoms]}
    return {"type": kind, "coordinates": _coordinates(geometry)}


def _coordinates(geometry: BaseGeometry) -> list[Any]:
    if geometry.geom_type.startswith("Multi"):
        return [_coordinates(part) for part in geometry.geoms]
    if geometry.geom_type == "Polygon":
        return [_path(ring) for ring in (geometry.exterior, *geometry.interiors)]
    path = _path(geometry)
    return path[0] if geometry.geom_type == "Point" else path


def _path(geometry: BaseGeometry) -> list[Any]:
    """Return positions as lists of numbers, whole ones as int."""
    values = shapely.get_coordinates(geometry, include_z=geometry.has_z)
    return [[int(v) if v.is_integer() else v for v in position] for position in values.tolist()]


def _items(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise GeometryError(f"{what} are {show(value)}, due is a list")
    if not value:
        raise GeometryError(f"{what} are empty")
    return value


def _positions(items: Any) -> np.ndarray:
    """Return positions as an array (N, 2) or (N, 3)."""
    try:
        array = np.array(_items(items, "positions"))
    except ValueError as error:  # numpy's word for rows of several lengths
        if isinstance(error, GeometryError):
            raise
        raise GeometryError("positions with different counts of numbers") from error
    if array.dtype.kind not in "iuf" or array.ndim != 2 or array.shape[1] not in (2, 3):
        raise GeometryError("positions that are not two or three numbers each")
    if not (np.abs(array) <= MAX_COORDINATE).all():  # false for NaN too
        raise GeometryError(
            f"a coordinate that is not finite or beyond {MAX_COORDINATE:.0f} pixels"
        )
    return array.astype(np.float64)


def _line(items: Any) -> BaseGeometry:
    positions = _positions(items)
    if len(positions) < 2:
        raise GeometryError("a line of one position")
    return shapely.LineString(positions)


def _polygon(rings: list[Any], note: Callable[[str], None]) -> BaseGeometry:
    shell, *holes = [_ring(ring, note) for ring in rings]
    return shapely.Polygon(shell, holes)


def _ring(items: Any, note: Callable[[str], None]) -> np.ndarray:
    positions = _positions(items)
    is_closed = bool((positions[0] == positions[-1]).all())
    if len(positions) < 3 + is_closed:
        raise GeometryError(f"a ring of {len(positions) - is_closed} positions, due are 3 or more")
    if is_closed:
        return positions
    note("a ring was not closed: it is now")
    return np.concatenate([positions, positions[:1]])
