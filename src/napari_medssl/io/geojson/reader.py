"""Read GeoJSON as QuPath writes it: a collection, a list, one feature or one bare geometry.

Text may be UTF-8 or UTF-16. Like QuPath we read zipped files too, and no gzip.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.documents import (
    MAX_BYTES,
    decode_text,
    parse_json,
    read_bytes,
    show,
)
from napari_medssl.io.annotations.report import Report
from napari_medssl.io.geojson.feature import Feature, Roi
from napari_medssl.io.geojson.geometry import GeometryError, geometry_from_json
from napari_medssl.io.geojson.members import feature_members, roi_members
from napari_medssl.io.limits import one_line

_GEOMETRY_MEMBERS = frozenset({"type", "coordinates", "geometries"})
_CHILDREN = ("childObjects", "children")
_MAX_DEPTH = 32  # of objects in objects
_MAX_NESTING = 64  # of members that we do not know
_MAX_ENTRIES = 1000  # of a zip file


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """The content of a GeoJSON file.

    `form` is what stood at the top: "collection", "array", "feature" or "geometry"; `header` are
    the other members of a collection. `failures` has a line for each feature that is broken and
    left out, `notes` one for each oddity of those kept.
    """

    features: tuple[Feature, ...]
    form: str = "collection"
    header: dict[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_geojson(path: str | os.PathLike[str]) -> FeatureFile:
    """Return the features of a GeoJSON file, or of all GeoJSON files in a zip file.

    Raises
    ------
    UserError
        If the file is missing, too large, no sound JSON, names a member twice, or is no GeoJSON.
        A broken feature in a sound file does not raise: it is told in `failures`.
    """
    place = Path(path)
    data = read_bytes(place)
    if data.startswith(b"\x1f\x8b"):
        raise UserError(
            f"Cannot read {str(place)!r}: gzip, which QuPath reads neither. Unpack it, or zip it."
        )
    if data.startswith(b"PK\x03\x04"):
        return _read_zip(place)
    return _read(data, place, Report(place.name))


def _read_zip(place: Path) -> FeatureFile:
    """Return the features of every GeoJSON file in a zip file, in the order of their names."""
    features: list[Feature] = []
    report = Report(place.name)
    for name, data in sorted(_unzip(place).items()):
        within = Report(f"{place.name}/{name}")
        found = _read(data, place / name, within)
        features += found.features
        report.failures += found.failures
        report.notes += found.notes
    return FeatureFile(tuple(features), failures=tuple(report.failures), notes=tuple(report.notes))


def _unzip(place: Path) -> dict[str, bytes]:
    """Return the GeoJSON files in a zip file, never more than `MAX_BYTES` together."""
    contents: dict[str, bytes] = {}
    left = MAX_BYTES
    try:
        with zipfile.ZipFile(place) as archive:
            names = [n for n in archive.namelist() if n.lower().endswith((".geojson", ".json"))]
            for name in names[:_MAX_ENTRIES]:
                with archive.open(name) as stream:
                    contents[name] = stream.read(left + 1)
                left -= len(contents[name])
                if left < 0:
                    raise UserError(
                        f"Cannot read {str(place)!r}: holds more than "
                        f"{MAX_BYTES // 1_000_000} MB of GeoJSON. Split it."
                    )
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, zlib.error) as error:
        raise UserError(
            f"Cannot read {str(place)!r}: no sound zip file ({one_line(error)})."
        ) from error
    if not names or len(names) > _MAX_ENTRIES:
        raise UserError(
            f"Cannot read {str(place)!r}: a zip file of {len(names)} .geojson files, "
            f"due are 1 to {_MAX_ENTRIES}."
        )
    return contents


def _read(data: bytes, place: Path, report: Report) -> FeatureFile:
    content = parse_json(decode_text(data, place), place, unique_keys=True)
    form, items, header = _open(content, place)
    features = []
    for number, item in enumerate(items, start=1):
        feature = _read_feature(item, f"feature {number}", report)
        if feature is not None:
            features.append(feature)
    _note_shared_ids(features, report)
    return FeatureFile(tuple(features), form, header, tuple(report.failures), tuple(report.notes))


def _open(content: Any, place: Path) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the form, the features and the other members of what a file holds."""
    what = show(content)
    if isinstance(content, list):
        if not content or any(isinstance(item, dict) for item in content):
            return "array", content, {}
    elif isinstance(content, dict):
        if isinstance(content.get("features"), list):
            header = {key: value for key, value in content.items() if key != "features"}
            if _is_too_deep(header):
                raise UserError(f"Cannot read {str(place)!r}: nested too deeply.")
            return "collection", content["features"], header
        if "geometry" in content:
            return "feature", [content], {}
        if "coordinates" in content or "geometries" in content:
            return "geometry", [{"geometry": content}], {}
        what = f"an object with the members {show(list(content))}"
    raise UserError(
        f"Cannot read {str(place)!r}: no GeoJSON. Due is a FeatureCollection, a list of features, "
        f"a Feature or a geometry, not {what}."
    )


def _is_too_deep(value: Any) -> bool:
    """Say whether lists and objects are in each other deeper than we can write them again."""
    level = [value]
    for _ in range(_MAX_NESTING):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


def _read_feature(item: Any, what: str, report: Report, depth: int = 0) -> Feature | None:
    """Return a feature, or None with a line in the report."""
    try:
        if not isinstance(item, dict):
            raise GeometryError(f"no feature, but {show(item)}")
        if depth == _MAX_DEPTH:
            raise GeometryError(f"more than {_MAX_DEPTH} objects in each other")
        if item.get("geometry") is None:
            raise GeometryError("no geometry")

        def note(text: str) -> None:
            report.note(f"{what}: {text}")

        roi = _read_roi(item["geometry"], note)
        nucleus = item.get("nucleusGeometry")
        core = None if nucleus is None else _read_roi(nucleus, note)
    except GeometryError as error:
        report.fail(what, str(error))
        return None
    source = {k: v for k, v in item.items() if k not in ("geometry", "nucleusGeometry")}
    children: tuple[Feature, ...] = ()
    properties = source.get("properties")
    if isinstance(properties, dict):
        key = next((k for k in _CHILDREN if isinstance(properties.get(k), list)), None)
        if key is not None:
            source["properties"] = {k: v for k, v in properties.items() if k != key}
            children = _read_children(properties[key], what, report, depth)
    if _is_too_deep([source, roi.source]):
        report.fail(what, f"members nested more than {_MAX_NESTING} deep")
        return None
    return Feature(
        roi=roi,
        nucleus=core,
        children=children,
        source=source,
        **feature_members(source, note),
    )


def _read_children(items: list[Any], what: str, report: Report, depth: int) -> tuple[Feature, ...]:
    found = [
        _read_feature(item, f"{what}, child {number}", report, depth + 1)
        for number, item in enumerate(items, start=1)
    ]
    return tuple(feature for feature in found if feature is not None)


def _read_roi(data: Any, note: Any) -> Roi:
    shape = geometry_from_json(data, note)
    source = {key: value for key, value in data.items() if key not in _GEOMETRY_MEMBERS}
    if not shape.is_valid:
        note("its outline crosses itself, or a hole lies outside")
    return Roi(shape, source=source, **roi_members(source, note))


def _note_shared_ids(features: list[Feature], report: Report) -> None:
    counts = Counter(feature.id for feature in features if feature.id)
    for shared, count in counts.items():
        if count > 1:
            report.note(f"{count} features share the id {show(shared)}")
