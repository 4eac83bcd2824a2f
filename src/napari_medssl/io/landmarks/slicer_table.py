"""Read the tables of points that 3D Slicer exports (CSV, or TSV): one image in a file.

Columns `label` and `l`, `p`, `s`, or `r`, `a`, `s`, in mm; `defined` 0 is a point without a place,
`locked` 1 one that nobody may change.
https://slicer.readthedocs.io/en/latest/developer_guide/modules/markups.html
"""

from __future__ import annotations

from pathlib import Path

from napari_medssl.io.annotations.documents import show
from napari_medssl.io.landmarks.collector import Collector, label_or, parse_number
from napari_medssl.io.landmarks.grid import SliceGrid
from napari_medssl.io.landmarks.landmark import NO_NAME, LandmarkFile
from napari_medssl.io.landmarks.slicer import BodyPoint, add_points, to_lps
from napari_medssl.io.landmarks.table import rows_of

_AXES = {"LPS": ("l", "p", "s"), "RAS": ("r", "a", "s")}


def looks_like_slicer_table(text: str) -> bool:
    """Say whether `text` begins with the columns of 3D Slicer."""
    columns = _columns(text)
    return "label" in columns and any(set(axes) <= set(columns) for axes in _AXES.values())


def read_slicer_table(
    text: str, path: Path, grid: SliceGrid | None, image: str = NO_NAME
) -> LandmarkFile:
    """Return the landmarks in the `text` of the file `path`; see `slicer.add_points`."""
    columns = _columns(text)
    system = next(name for name, axes in _AXES.items() if set(axes) <= set(columns))
    rows = rows_of(text, path, _delimiter(text))
    next(rows)
    gathered = Collector(path, "slicer")
    points = []
    for line, row in rows:
        cells = {name: cell.strip() for name, cell in zip(columns, row, strict=False)}
        label = label_or(cells.get("label"), f"F-{line}")
        what = f"line {line} ({show(label)})"
        is_locked = cells.get("locked") == "1"
        if cells.get("defined") == "0":
            points.append(BodyPoint(label, "locked" if is_locked else "undefined", None, what))
            continue
        texts = [cells.get(axis, "") for axis in _AXES[system]]
        values = [parse_number(value) for value in texts]
        point = to_lps(system, texts if None in values else values, what, path)
        points.append(BodyPoint(label, "locked" if is_locked else "confirmed", point, what))
    add_points(points, image, gathered, grid)
    return gathered.file()


def _first_line(text: str) -> str:
    return text.lstrip("\r\n \ufeff").partition("\n")[0]


def _delimiter(text: str) -> str:
    return "\t" if "\t" in _first_line(text) else ","


def _columns(text: str) -> list[str]:
    names = _first_line(text).split(_delimiter(text))
    return [name.strip().strip('"').lower() for name in names]
