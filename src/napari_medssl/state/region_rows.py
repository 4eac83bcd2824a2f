"""Regions and classes as JSON values for the journal: every bit of the coordinates, little space.

Shapes are well-known binary in base64, about half the size of GeoJSON and ten times as fast. The
members of a feature are one text, because measurements may be NaN, which the journal refuses.
"""

from __future__ import annotations

import base64
import json
from dataclasses import fields
from typing import Any

import shapely

from napari_medssl.io.geojson.feature import Feature, Plane, Roi
from napari_medssl.io.geojson.members import feature_members
from napari_medssl.state.region_classes import RegionClass
from napari_medssl.state.regions import Item, Region

_COLORS = ("color", "class_color")


def item_to_row(item: Item) -> list[Any]:
    """Return a region or a class as a JSON list."""
    if isinstance(item, RegionClass):
        return ["class", item.name, list(item.color)]
    feature = item.feature
    told = feature_members(feature.source)
    differing = {
        f.name: getattr(feature, f.name)
        for f in fields(Feature)
        if f.name in told and getattr(feature, f.name) != told[f.name]
    }
    members = json.dumps([dict(feature.source), differing], ensure_ascii=False)
    nucleus = None if feature.nucleus is None else _roi_to_row(feature.nucleus)
    return ["region", item.class_key, _roi_to_row(feature.roi), nucleus, members]


def item_from_row(row: list[Any]) -> Item:
    """Return the region or class of a list made by `item_to_row`.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it is none.
    """
    kind, *values = row
    if kind == "class":
        name, (red, green, blue) = values
        return RegionClass(str(name), (int(red), int(green), int(blue)))
    if kind != "region":
        raise ValueError(f"a row is a class or a region, got {kind!r}")
    class_key, roi, nucleus, members = values
    source, differing = json.loads(members)
    differing.update({key: _tuple(differing[key]) for key in _COLORS if key in differing})
    feature = Feature(
        roi=_roi_from_row(roi),
        nucleus=None if nucleus is None else _roi_from_row(nucleus),
        source=source,
        **(feature_members(source) | differing),
    )
    return Region(feature, None if class_key is None else int(class_key))


def _tuple(value: Any) -> tuple[Any, ...] | None:
    return None if value is None else tuple(value)


def _roi_to_row(roi: Roi) -> list[Any]:
    shape = base64.b64encode(shapely.to_wkb(roi.shape)).decode("ascii")
    plane = [roi.plane.c, roi.plane.z, roi.plane.t]
    return [shape, roi.is_ellipse, plane, json.dumps(dict(roi.source), ensure_ascii=False)]


def _roi_from_row(row: list[Any]) -> Roi:
    shape, is_ellipse, plane, source = row
    try:
        geometry = shapely.from_wkb(base64.b64decode(shape, validate=True))
    except shapely.errors.ShapelyError as error:
        raise ValueError(f"no shape: {error}") from error
    return Roi(geometry, bool(is_ellipse), Plane(*(int(v) for v in plane)), json.loads(source))
