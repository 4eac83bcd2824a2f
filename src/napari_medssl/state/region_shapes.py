"""What edits do to the shapes of regions: shift, unite, subtract, and mend outlines that cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from napari_medssl.io.geojson.feature import Feature, Roi
from napari_medssl.io.geojson.geometry import MAX_COORDINATE


def check_shape(shape: BaseGeometry) -> None:
    """Raise ValueError if a shape is empty, not finite, or beyond `MAX_COORDINATE`."""
    if shape.is_empty:
        raise ValueError("a region needs a shape, this one is empty")
    if not (np.abs(shapely.get_coordinates(shape)) <= MAX_COORDINATE).all():
        raise ValueError(f"a coordinate is not finite or beyond {MAX_COORDINATE:.0f} pixels")


def shift(feature: Feature, dx: float, dy: float) -> Feature:
    """Return a feature moved by pixels, its nucleus with it."""
    roi = replace(feature.roi, shape=_shift(feature.roi.shape, dx, dy))
    core = feature.nucleus
    moved = None if core is None else replace(core, shape=_shift(core.shape, dx, dy))
    return replace(feature, roi=roi, nucleus=moved)


def _shift(shape: BaseGeometry, dx: float, dy: float) -> BaseGeometry:
    step = np.array([dx, dy, 0.0])
    has_z = bool(shape.has_z)
    return shapely.transform(shape, lambda xy: xy + step[: xy.shape[1]], include_z=has_z)


def unite(rois: Sequence[Roi]) -> BaseGeometry | None:
    """Return the union of areas, or the points or lines together; None if the kinds differ."""
    dimensions = {int(shapely.get_dimensions(roi.shape)) for roi in rois}
    if len(dimensions) != 1 or any(roi.kind == "mixed" for roi in rois):
        return None
    if dimensions == {2}:
        return shapely.union_all([areas(roi.shape) for roi in rois])
    parts = [part for roi in rois for part in shapely.get_parts(roi.shape)]
    return shapely.MultiPoint(parts) if dimensions == {0} else shapely.MultiLineString(parts)


def subtract(shape: BaseGeometry, others: Sequence[BaseGeometry]) -> BaseGeometry | None:
    """Return what is left of an area without others, None if nothing is."""
    left = areas(areas(shape).difference(shapely.union_all([areas(other) for other in others])))
    return None if left.is_empty else left


def areas(shape: BaseGeometry) -> BaseGeometry:
    """Return the areas of a shape as a sound polygon or multipolygon; empty if it has none."""
    sound = shape if shape.is_valid else shapely.make_valid(shape)
    if sound.geom_type in ("Polygon", "MultiPolygon"):
        return sound
    parts = shapely.get_parts(shapely.get_parts(sound))
    return shapely.union_all([part for part in parts if shapely.get_dimensions(part) == 2])
