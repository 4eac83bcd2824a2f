"""Members of a feature to fields and back: what was not changed is written as it was read.

QuPath has spelled some of them in several ways. All are read; a changed one is written as QuPath
0.5 and later write it:

- object type: `objectType`, `object_type`, `type`, or the `id` "PathAnnotationObject" of 0.2;
  written as `objectType`
- class: `{name}`, `{names}` or text, its colour `color` [r, g, b] or `colorRGB` packed in a number;
  written as `{name, color}`, for derived classes `{names, color}`
- measurements: `[{name, value}]` before 0.4, `{name: value}`; written as `{name: value}`

The forms were taken from files that QuPath wrote and from what its documentation tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from napari_medssl.io.annotations.documents import show
from napari_medssl.io.color import Color
from napari_medssl.io.geojson.feature import Feature, Plane, Roi

_LEGACY_TYPES = {
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathTileObject": "tile",
    "PathCellObject": "cell",
    "TMACoreObject": "tmaCore",
    "PathRootObject": "root",
}
_SEPARATOR = ": "
Note = Callable[[str], None]


def _silent(_text: str) -> None:
    pass


def roi_members(source: Mapping[str, Any], note: Note = _silent) -> dict[str, Any]:
    """Return the fields of a `Roi` that the members of a geometry object tell."""
    plane = source.get("plane")
    found = Plane()
    if isinstance(plane, dict):
        numbers = {key: plane.get(key, getattr(found, key)) for key in ("c", "z", "t")}
        if all(_is_whole(value) for value in numbers.values()):
            found = Plane(**numbers)
        else:
            note(f"its plane {show(plane)} is not understood")
    return {"is_ellipse": source.get("isEllipse") is True, "plane": found}


def roi_to_members(roi: Roi) -> dict[str, Any]:
    """Return the members of a geometry object besides type and coordinates."""
    result = dict(roi.source)
    before = roi_members(roi.source)
    if roi.plane != before["plane"]:
        result["plane"] = {"c": roi.plane.c, "z": roi.plane.z, "t": roi.plane.t}
    if roi.is_ellipse != before["is_ellipse"]:
        result.pop("isEllipse", None)
        if roi.is_ellipse:
            result["isEllipse"] = True
    return result


def feature_members(source: Mapping[str, Any], note: Note = _silent) -> dict[str, Any]:
    """Return the fields of a `Feature` that its members tell, without geometry and children."""
    properties = source.get("properties")
    if not isinstance(properties, dict):
        if properties is not None:
            note(f"its properties are {show(properties)}, due is an object")
        properties = {}
    class_name, class_color = _read_class(properties.get("classification"), note)
    return {
        "object_type": _read_type(source.get("id"), properties),
        "id": _read_id(source.get("id")),
        "name": _text(properties.get("name"), "name", note),
        "class_name": class_name,
        "class_color": class_color,
        "color": _read_color(properties.get("color"), note),
        "is_locked": properties.get("isLocked") is True,
        "is_missing": properties.get("isMissing") is True,
        "measurements": _read_measurements(properties.get("measurements"), note),
        "metadata": _read_metadata(properties.get("metadata"), note),
    }


def feature_to_members(feature: Feature) -> dict[str, Any]:
    """Return the members of a feature, as read where nothing changed, geometry left out."""
    result = {"type": "Feature", **feature.source}
    before = feature_members(feature.source)
    changed = {
        f.name
        for f in fields(Feature)
        if f.name in before and getattr(feature, f.name) != before[f.name]
    }
    if "id" in changed:
        result["id"] = feature.id
    if not feature.source:
        changed.add("object_type")  # QuPath always writes it
    if "id" in changed and feature.source.get("id") in _LEGACY_TYPES:
        changed.add("object_type")  # the id of 0.2 told it
    properties = dict(result.get("properties") or {})
    for name in _WRITERS:
        if name in changed:
            _WRITERS[name](properties, feature)
    if "class_color" in changed and "class_name" not in changed:
        _write_class(properties, feature)
    if properties != (result.get("properties") or {}) or not feature.source:
        result["properties"] = properties
    return result


# -- reading -----------------------------------------------------------------------------------


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _text(value: Any, what: str, note: Note) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    note(f"its {what} is {show(value)}, due is text")
    return ""


def _read_id(value: Any) -> str:
    return value if isinstance(value, str) and value not in _LEGACY_TYPES else ""


def _read_type(legacy: Any, properties: Mapping[str, Any]) -> str:
    for key in ("objectType", "object_type", "type"):
        value = properties.get(key)
        if isinstance(value, str):
            return _LEGACY_TYPES.get(value, value)
    return _LEGACY_TYPES.get(legacy, "annotation") if isinstance(legacy, str) else "annotation"


def _read_color(value: Any, note: Note) -> Color | None:
    """Return a colour of [r, g, b] or packed in one number, as ARGB with a sign."""
    if value is None:
        return None
    if _is_whole(value):
        return value >> 16 & 255, value >> 8 & 255, value & 255
    is_list = isinstance(value, list) and len(value) == 3
    if is_list and all(_is_whole(v) and 0 <= v <= 255 for v in value):
        return value[0], value[1], value[2]
    note(f"its colour {show(value)} is not understood")
    return None


def _read_class(value: Any, note: Note) -> tuple[str, Color | None]:
    if value is None or isinstance(value, str):
        return value or "", None
    if not isinstance(value, dict):
        note(f"its classification {show(value)} is not understood")
        return "", None
    names = value.get("names")
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        name = _SEPARATOR.join(names)
    else:
        name = _text(value.get("name"), "class name", note)
    color = value.get("color", value.get("colorRGB"))
    return name, _read_color(color, note)


def _read_measurements(value: Any, note: Note) -> Mapping[str, float]:
    if value is None:
        return {}
    pairs = value
    if isinstance(value, list):
        pairs = {
            item["name"]: item.get("value")
            for item in value
            if isinstance(item, dict) and isinstance(item.get("name"), str)
        }
        if len(pairs) != len(value):
            note("some of its measurements are not understood or have one name")
    if not isinstance(pairs, dict):
        note(f"its measurements {show(value)} are not understood")
        return {}
    numbers = {
        name: number
        for name, number in pairs.items()
        if isinstance(number, (int, float)) and not isinstance(number, bool)
    }
    if len(numbers) != len(pairs):
        note("some of its measurements are no numbers")
        return numbers
    return pairs


def _read_metadata(value: Any, note: Note) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        note(f"its metadata {show(value)} is not understood")
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


# -- writing -----------------------------------------------------------------------------------


def _put(properties: dict[str, Any], key: str, value: Any) -> None:
    """Set a member, or take it out where the value is that of a missing one."""
    if value:
        properties[key] = value
    else:
        properties.pop(key, None)


def _write_type(properties: dict[str, Any], feature: Feature) -> None:
    properties.pop("object_type", None)
    properties["objectType"] = feature.object_type


def _write_class(properties: dict[str, Any], feature: Feature) -> None:
    if not feature.class_name:
        properties.pop("classification", None)
        return
    before = properties.get("classification")
    known = ("name", "names", "color", "colorRGB")
    extra = before.items() if isinstance(before, dict) else ()
    parts = feature.class_name.split(_SEPARATOR)
    written: dict[str, Any] = {"names": parts} if len(parts) > 1 else {"name": parts[0]}
    if feature.class_color is not None:
        written["color"] = list(feature.class_color)
    written.update({key: value for key, value in extra if key not in known})
    properties["classification"] = written


_WRITERS: dict[str, Callable[[dict[str, Any], Feature], None]] = {
    "object_type": _write_type,
    "name": lambda p, f: _put(p, "name", f.name),
    "color": lambda p, f: _put(p, "color", None if f.color is None else list(f.color)),
    "class_name": _write_class,
    "is_locked": lambda p, f: _put(p, "isLocked", f.is_locked),
    "is_missing": lambda p, f: _put(p, "isMissing", f.is_missing),
    "measurements": lambda p, f: _put(p, "measurements", dict(f.measurements)),
    "metadata": lambda p, f: _put(p, "metadata", dict(f.metadata)),
}
