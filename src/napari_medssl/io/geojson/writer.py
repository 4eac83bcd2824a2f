"""Write GeoJSON that QuPath reads: one line a feature, coordinates in full.

We differ from QuPath in the digits: it rounds coordinates to two decimals, we write them as they
are, so that a file that is read and written again loses nothing.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_medssl.io.files import write_whole
from napari_medssl.io.geojson.feature import Feature, Roi
from napari_medssl.io.geojson.geometry import geometry_to_json
from napari_medssl.io.geojson.members import feature_to_members, roi_to_members
from napari_medssl.io.geojson.reader import FeatureFile


def write_geojson(
    features: Iterable[Feature],
    path: str | os.PathLike[str],
    *,
    like: FeatureFile | None = None,
) -> None:
    """Write features as a FeatureCollection, or in the form of the file `like` they came from.

    A path that ends in `.zip` gets a zip file with one GeoJSON file inside. Written whole or not
    at all. What one feature, or one bare geometry, cannot hold becomes a collection.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    place = Path(path)
    text = "".join(_lines(list(features), like or FeatureFile(())))
    if place.suffix.lower() != ".zip":
        write_whole(place, text)
        return
    stem = place.name[: -len(place.suffix)]
    name = stem if stem.lower().endswith((".geojson", ".json")) else f"{stem}.geojson"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # A fixed date: the same features give the same bytes.
        archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    write_whole(place, packed.getvalue())


def feature_to_json(feature: Feature) -> dict[str, Any]:
    """Return the GeoJSON object of a feature, its members in the order of QuPath."""
    members = feature_to_members(feature)
    result: dict[str, Any] = {k: members.pop(k) for k in ("type", "id") if k in members}
    result["geometry"] = _roi_to_json(feature.roi)
    if feature.nucleus is not None:
        result["nucleusGeometry"] = _roi_to_json(feature.nucleus)
    result.update(members)
    if feature.children:
        children = [feature_to_json(child) for child in feature.children]
        result["properties"] = {**(result.get("properties") or {}), "childObjects": children}
    return result


def _roi_to_json(roi: Roi) -> dict[str, Any]:
    return {**geometry_to_json(roi.shape), **roi_to_members(roi)}


def _lines(features: list[Feature], like: FeatureFile) -> Iterable[str]:
    is_one = len(features) == 1
    if like.form == "geometry" and is_one and features[0] == Feature(features[0].roi):
        return (_dump(_roi_to_json(features[0].roi)), "\n")
    if like.form == "feature" and is_one:
        return (_dump(feature_to_json(features[0])), "\n")
    body = ",\n".join(_dump(feature_to_json(feature)) for feature in features)
    if like.form == "array":
        return ("[\n", body, "\n]\n")
    header = {"type": "FeatureCollection", **like.header}
    return (_dump(header)[:-1], ',"features":[\n', body, "\n]}\n")


def _dump(value: Any) -> str:
    # NaN stands in measurements of QuPath itself, which reads it back.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
