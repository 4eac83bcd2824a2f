"""Point lists of 3D Slicer in JSON (`.mrk.json`): one image in a file.

Slicer keeps points in mm of the body; a `SliceGrid` says where the pixels lie. Coordinate systems
LPS and RAS are read, LPS is written. `positionStatus` "missing" is "not in this image", "defined"
a place, others are no place yet; a point that is locked is "locked". Read are lists of type
Fiducial; lines, curves, planes and boxes are told and left out. Points off the slice refuse the
file: their places in the image would be those of something else.

Written after what Slicer 5 writes, schema v1.0.3:
https://slicer.readthedocs.io/en/latest/developer_guide/modules/markups.html
The schema that a file names is never fetched. Descriptions, colours and orientations are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.documents import show
from napari_medssl.io.annotations.shapes import LIMIT, numbers
from napari_medssl.io.files import write_whole
from napari_medssl.io.landmarks.collector import Collector, label_or, refusal
from napari_medssl.io.landmarks.grid import SliceGrid, Vector
from napari_medssl.io.landmarks.landmark import (
    NO_NAME,
    ImageLandmarks,
    Landmark,
    LandmarkFile,
    State,
)

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/"
    "Schema/markups-schema-v1.0.3.json#"
)
_SIGNS = {"LPS": (1.0, 1.0, 1.0), "RAS": (-1.0, -1.0, 1.0)}
_MILLIMETRES = ("mm", "millimeter", "millimetre", "UCUM:mm")


def looks_like_slicer(content: Any) -> bool:
    """Say whether parsed JSON is meant as markups of 3D Slicer."""
    return isinstance(content, dict) and "markups" in content


def read_slicer(
    content: Any, path: Path, grid: SliceGrid | None, image: str = NO_NAME
) -> LandmarkFile:
    """Return the landmarks in the parsed JSON `content` of the file `path`; see `add_points`."""
    gathered = Collector(path, "slicer")
    lists = content.get("markups") if looks_like_slicer(content) else None
    if not isinstance(lists, list):
        raise refusal(
            path,
            f"its 'markups' are {show(lists)}, not a list",
            "Save the point list in 3D Slicer again.",
        )
    for number, points in enumerate(lists, start=1):
        kind = points.get("type") if isinstance(points, dict) else None
        if kind == "Fiducial":
            _read_list(points, image, gathered, grid)
        else:
            gathered.note(f"markup {number} left out: its type is {show(kind)}, not 'Fiducial'")
    return gathered.file()


def to_lps(system: str, values: Any, what: str, path: Path) -> Vector:
    """Return a position of a file in LPS, mm; `what` names its point in an error.

    Raises
    ------
    UserError
        If the coordinate system is none that we know, or `values` are not three finite numbers.
    """
    signs = _SIGNS.get(system)
    if signs is None:
        todo = "Due is 'LPS' or 'RAS', in mm: save the point list in 3D Slicer again."
        raise refusal(path, f"its coordinate system is {show(system)}", todo)
    found = numbers(values)
    if found is None or len(found) != 3:
        todo = "Due are three finite numbers in mm: save the point list in 3D Slicer again."
        raise refusal(path, f"{what} has the position {show(values)}", todo)
    a, b, c = (sign * value for sign, value in zip(signs, found, strict=True))
    return a, b, c


@dataclass(frozen=True, slots=True)
class BodyPoint:
    """A point of a file: its landmark's label and state, and where it lies in LPS, mm, if it does.

    `what` names it in an error.
    """

    label: str
    state: State
    point: Vector | None
    what: str


def add_points(
    points: Sequence[BodyPoint], image: str, gathered: Collector, grid: SliceGrid | None
) -> None:
    """Add the points of a slice to those of its image.

    Without a `grid` the image is a picture that Slicer opened without knowing more, in the axial
    plane in which the first point lies.

    Raises
    ------
    UserError
        If a point is off the slice.
    """
    if grid is None:
        height = next((p.point[2] for p in points if p.point), 0.0)
        grid = SliceGrid(origin_mm=(0.0, 0.0, height))
    for entry in points:
        if entry.point is None:
            gathered.add(image, Landmark(entry.label, state=entry.state))
            continue
        if not grid.has(entry.point):
            raise refusal(
                gathered.path,
                f"{entry.what} lies {grid.distance_mm(entry.point):.3g} mm off the slice",
                "Landmarks of one slice are due: say where it lies (origin, directions, "
                "thickness), or give a file with its points alone.",
            )
        x, y = grid.to_pixels(entry.point)
        if not (abs(x) <= LIMIT and abs(y) <= LIMIT):
            todo = "Check the spacing and origin of the image."
            raise refusal(gathered.path, f"{entry.what} is {x:.3g}, {y:.3g} pixels away", todo)
        gathered.add(image, Landmark(entry.label, x, y, entry.state))


def check_one_image(images: int, path: Path) -> None:
    """Raise `UserError` unless it is one image that is to go into the one file `path`."""
    if images != 1:
        raise UserError(
            f"Cannot write {images} images to {str(path)!r}: a point list of 3D Slicer is of one "
            "image. Give a folder."
        )


def write_slicer(image: ImageLandmarks, path: Path, grid: SliceGrid) -> tuple[str, ...]:
    """Write the landmarks of one image, whole or not at all; return what could not be kept."""
    points = [
        {
            "id": str(number),
            "label": landmark.label,
            "description": "",
            "associatedNodeID": "",
            "position": list(grid.to_lps(*(landmark.place or (0.0, 0.0)))),
            "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
            "selected": True,
            "locked": landmark.state == "locked",
            "visibility": True,
            "positionStatus": status_of(landmark),
        }
        for number, landmark in enumerate(image.landmarks, start=1)
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": points,
    }
    text = json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=2, allow_nan=False)
    write_whole(path, text + "\n")
    return lost_in_slicer(image)


def lost_in_slicer(image: ImageLandmarks) -> tuple[str, ...]:
    """Return a line for what the files of 3D Slicer have no place for."""
    scores = sum(m.score is not None or m.state == "found" for m in image.landmarks)
    hidden = sum(not m.is_visible for m in image.landmarks)
    lines = []
    if scores:
        lines.append(f"3D Slicer has no place for scores and who placed a point: {scores} left out")
    if hidden:
        lines.append(f"3D Slicer has no place for what hides a point: {hidden} left out")
    return tuple(lines)


def _read_list(
    points: dict[str, Any], image: str, gathered: Collector, grid: SliceGrid | None
) -> None:
    path = gathered.path
    units = points.get("coordinateUnits", "mm")
    if isinstance(units, list):  # [code value, coding scheme, meaning]
        units = units[0] if units else "mm"
    if units not in _MILLIMETRES:
        raise refusal(path, f"its unit is {show(units)}", "Due is 'mm': save it with millimetres.")
    system = points.get("coordinateSystem", "LPS")
    entries = points.get("controlPoints", [])
    if not isinstance(entries, list):
        todo = "Save the point list in 3D Slicer again."
        raise refusal(path, f"its 'controlPoints' are {show(entries)}, not a list", todo)
    is_locked = points.get("locked") is True
    system = system if isinstance(system, str) else show(system)
    read = [_read_point(e, n, system, path) for n, e in enumerate(entries, start=1)]
    if is_locked:
        read = [replace(entry, state="locked") for entry in read]
    add_points(read, image, gathered, grid)


def _read_point(entry: Any, number: int, system: str, path: Path) -> BodyPoint:
    if not isinstance(entry, dict):
        todo = "Save the point list in 3D Slicer again."
        raise refusal(path, f"point {number} is {show(entry)}, not an object", todo)
    label = label_or(entry.get("label"), f"F-{number}")
    what = f"point {number} ({show(label)})"
    is_locked = entry.get("locked") is True
    status = entry.get("positionStatus", "defined")
    if status != "defined":
        state: State = "absent" if status == "missing" else "undefined"
        return BodyPoint(label, "locked" if is_locked else state, None, what)
    point = to_lps(system, entry.get("position"), what, path)
    return BodyPoint(label, "locked" if is_locked else "confirmed", point, what)


def status_of(landmark: Landmark) -> str:
    """Return the `positionStatus` of a landmark."""
    if landmark.place:
        return "defined"
    return "undefined" if landmark.state == "undefined" else "missing"
