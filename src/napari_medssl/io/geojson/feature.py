"""An object of QuPath as a value: its region of interest, what it is called, what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from napari_medssl.io.color import Color

_ELLIPSE_POINTS = 100  # as many as QuPath writes; a multiple of 4 keeps the four extremes


@dataclass(frozen=True, slots=True)
class Plane:
    """Channel, z-slice and time point of a region; channel -1 stands for all."""

    c: int = -1
    z: int = 0
    t: int = 0


@dataclass(frozen=True, slots=True)
class Roi:
    """A region of interest in pixels of level 0.

    `shape` is a shapely geometry. `is_ellipse` says that the ellipse in the bounds of `shape` is
    meant; GeoJSON has no ellipses, so `shape` is a polygon along it. `source` holds the members
    of the geometry object as they were read, but for type and coordinates.
    """

    shape: BaseGeometry
    is_ellipse: bool = False
    plane: Plane = Plane()
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """One of "rectangle", "ellipse", "polygon", "line", "point" and "mixed"."""
        if self.is_ellipse:
            return "ellipse"
        dimension = int(shapely.get_dimensions(self.shape))
        if self.shape.geom_type == "GeometryCollection":
            return "mixed"
        if dimension < 2:
            return "line" if dimension else "point"
        return "rectangle" if is_rectangle(self.shape) else "polygon"

    @property
    def has_inside(self) -> bool:
        """True if the region covers an area."""
        return bool(shapely.get_dimensions(self.shape) == 2)

    def area(self, mpp: tuple[float, float] = (1.0, 1.0)) -> float:
        """Return the area, exact for ellipses: px², or µm² given microns per pixel `(x, y)`.

        Overlaps of the parts of one region count as often as they overlap.
        """
        if not self.is_ellipse:
            return float(self.shape.area) * mpp[0] * mpp[1]
        a, b = self._half_axes(mpp)
        return math.pi * a * b

    def length(self, mpp: tuple[float, float] = (1.0, 1.0)) -> float:
        """Return the perimeter, holes included, or the length of a line: px, or µm given `mpp`."""
        if not self.is_ellipse:
            shape = self.shape if mpp[0] == mpp[1] else scale(self.shape, *mpp)
            return float(shape.length) * (mpp[0] if mpp[0] == mpp[1] else 1.0)
        from scipy.special import ellipe

        a, b = sorted(self._half_axes(mpp), reverse=True)
        return float(4.0 * a * ellipe(1.0 - (b / a) ** 2)) if a else 0.0

    def _half_axes(self, mpp: tuple[float, float]) -> tuple[float, float]:
        x0, y0, x1, y1 = self.shape.bounds
        return (x1 - x0) / 2 * mpp[0], (y1 - y0) / 2 * mpp[1]


@dataclass(frozen=True, slots=True)
class Feature:
    """An object of QuPath.

    Attributes
    ----------
    roi
        Where it is.
    object_type
        "annotation", "detection", "tile", "cell", "tmaCore", "root", or what a file says.
    id
        UUID as text, or whatever a file gives; "" if it gives none.
    class_name
        Name of its class, parts of a derived one joined by ": " ("Tumor: Positive"); "" if none.
    class_color, color
        Colour of the class, and of this object where it has one of its own.
    nucleus
        Of a cell, its nucleus.
    children
        Objects inside, where the file keeps the hierarchy.
    source
        The feature as it was read, without coordinates and children. What was not changed is
        written back as it stands there, unknown members included.
    """

    roi: Roi
    object_type: str = "annotation"
    id: str = ""
    name: str = ""
    class_name: str = ""
    class_color: Color | None = None
    color: Color | None = None
    is_locked: bool = False
    is_missing: bool = False
    nucleus: Roi | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Feature, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)


def flatten(features: Iterable[Feature]) -> Iterator[Feature]:
    """Yield all features without hierarchy, parents before their children."""
    for feature in features:
        yield replace(feature, children=()) if feature.children else feature
        yield from flatten(feature.children)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Roi:
    """Return the rectangle between two corners, its vertices in the order of QuPath."""
    x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    return Roi(shapely.Polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))


def ellipse(x0: float, y0: float, x1: float, y1: float) -> Roi:
    """Return the ellipse in the rectangle between two corners; its bounds are exact."""
    angle = 2.0 * np.pi * np.arange(_ELLIPSE_POINTS) / _ELLIPSE_POINTS
    x = (x0 + x1) / 2 + np.cos(angle) * abs(x1 - x0) / 2
    y = (y0 + y1) / 2 + np.sin(angle) * abs(y1 - y0) / 2
    quarter = _ELLIPSE_POINTS // 4
    x[0], x[2 * quarter], y[quarter], y[3 * quarter] = (
        max(x0, x1),
        min(x0, x1),
        max(y0, y1),
        min(y0, y1),
    )
    return Roi(shapely.Polygon(np.column_stack([x, y])), is_ellipse=True)


def is_rectangle(shape: BaseGeometry) -> bool:
    """Say whether a shape is one polygon without holes whose four sides are along the axes."""
    if shape.geom_type != "Polygon" or shape.interiors:
        return False
    corners = shapely.get_coordinates(shape.exterior)
    if len(corners) != 5:
        return False
    steps = np.diff(corners, axis=0) != 0  # (4, 2), in x and in y
    return bool((steps.sum(axis=1) == 1).all() and (steps[0] != steps[1]).all())


def scale(shape: BaseGeometry, x: float, y: float) -> BaseGeometry:
    """Return a shape with its coordinates multiplied."""
    return shapely.transform(shape, lambda positions: positions * (x, y))
