"""Point lists of 3D Slicer in its older form (`.fcsv`): one image in a file.

A comment names the columns, another the coordinate system: LPS, RAS, or in files of Slicer before
4.11 a number, 0 for RAS and 1 for LPS. Without the comments the columns would be a guess, and the
file is refused. Since 5.2 Slicer adds two columns that it does not name; the first is the status of
the point: 0 undefined, 1 preview, 2 defined, 3 missing.
https://slicer.readthedocs.io/en/5.6/developer_guide/modules/markups.html
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from napari_medssl.io.annotations.documents import show
from napari_medssl.io.files import write_whole
from napari_medssl.io.landmarks.collector import Collector, label_or, parse_number, refusal
from napari_medssl.io.landmarks.grid import SliceGrid
from napari_medssl.io.landmarks.landmark import NO_NAME, ImageLandmarks, LandmarkFile, State
from napari_medssl.io.landmarks.slicer import (
    BodyPoint,
    add_points,
    lost_in_slicer,
    status_of,
    to_lps,
)
from napari_medssl.io.landmarks.table import rows_of

_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
_UNNAMED = ("status", "made_by_itself")
_STATUSES = {"undefined": 0, "defined": 2, "missing": 3}
_NUMBERED = {"0": "RAS", "1": "LPS"}
_AGAIN = "Save the point list in 3D Slicer again, as .mrk.json if it can."


def looks_like_fcsv(text: str, path: Path) -> bool:
    """Say whether `text` is meant as a point list of 3D Slicer."""
    return text.lstrip("\ufeff").startswith("# Markups") or path.suffix.lower() == ".fcsv"


def read_fcsv(text: str, path: Path, grid: SliceGrid | None, image: str = NO_NAME) -> LandmarkFile:
    """Return the landmarks in the `text` of the file `path`; see `slicer.add_points`."""
    lines = text.lstrip("\ufeff").splitlines()
    said = dict(_comment(line) for line in lines if line.startswith("#"))
    columns = [name.strip() for name in said.get("columns", "").split(",")]
    if not {"x", "y", "z", "label"} <= set(columns):
        raise refusal(path, "no comment in it names the columns x, y, z and label", _AGAIN)
    system = said.get("CoordinateSystem", "")
    body = "\n".join("" if line.startswith("#") else line for line in lines)
    gathered = Collector(path, "fcsv")
    points = []
    for line, row in rows_of(body, path):
        if len(row) < len(columns) - 2:  # the last two, text for people, may be missing
            todo = f"{len(columns)} were due. {_AGAIN}"
            raise refusal(path, f"line {line} has {len(row)} columns", todo)
        cells = dict(zip([*columns, *_UNNAMED], row, strict=False))
        points.append(_read_point(cells, line, _NUMBERED.get(system, system), path))
    add_points(points, image, gathered, grid)
    return gathered.file()


def write_fcsv(image: ImageLandmarks, path: Path, grid: SliceGrid) -> tuple[str, ...]:
    """Write the landmarks of one image, whole or not at all; return what could not be kept."""
    text = io.StringIO(newline="")
    text.write("# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n")
    text.write(f"# columns = {_COLUMNS}\n")
    writer = csv.writer(text, lineterminator="\n")
    for number, landmark in enumerate(image.landmarks, start=1):
        point = grid.to_lps(*(landmark.place or (0.0, 0.0)))
        status = _STATUSES[status_of(landmark)]
        lock = int(landmark.state == "locked")
        orientation_and_flags = [0, 0, 0, 1, 1, 1, lock]
        writer.writerow([number, *point, *orientation_and_flags, landmark.label, "", "", status, 0])
    write_whole(path, text.getvalue())
    return lost_in_slicer(image)


def _read_point(cells: dict[str, str], line: int, system: str, path: Path) -> BodyPoint:
    label = label_or(cells.get("label"), f"F-{line}")
    what = f"line {line} ({show(label)})"
    is_locked = cells.get("lock", "0").strip() == "1"
    status = cells.get("status", "2").strip() or "2"
    if status != "2":  # the numbers then stand for nothing
        state: State = "absent" if status == "3" else "undefined"
        return BodyPoint(label, "locked" if is_locked else state, None, what)
    texts = [cells.get(axis, "") for axis in "xyz"]
    values = [parse_number(text) for text in texts]
    point = to_lps(system, texts if None in values else values, what, path)
    return BodyPoint(label, "locked" if is_locked else "confirmed", point, what)


def _comment(line: str) -> tuple[str, str]:
    key, _, value = line.lstrip("# ").partition("=")
    return key.strip(), value.strip()
