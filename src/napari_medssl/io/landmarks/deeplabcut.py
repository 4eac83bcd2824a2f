"""Read tables of DeepLabCut: marked points (`CollectedData_*.csv`) and predicted ones.

Three header rows name scorer, body part and coordinate (x, y, and `likelihood` where a network
spoke); a fourth, `individuals`, names the animals of projects with several, whose labels become
"individual bodypart". The first column, or the first three, name the image; predictions in a video
have its number of frame. A point without numbers is "undefined": DeepLabCut does not tell one that
cannot be seen from one that nobody marked.

The `.h5` file beside a table holds the same as a pickled pandas frame. Unpickling runs what the
file says, so it is refused; DeepLabCut writes both.
https://deeplabcut.github.io/DeepLabCut/docs/convert_maDLC.html
"""

from __future__ import annotations

from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.documents import show
from napari_medssl.io.image_names import clean_image_name
from napari_medssl.io.landmarks.collector import Collector, label_or, parse_number, refusal
from napari_medssl.io.landmarks.landmark import Landmark, LandmarkFile
from napari_medssl.io.landmarks.table import rows_of

HDF5_START = b"\x89HDF\r\n\x1a\n"
_COORDS = ("x", "y", "likelihood")
_AGAIN = "Give the CSV file that DeepLabCut wrote."
_MOST_HEADER_ROWS = 4


def looks_like_deeplabcut(text: str) -> bool:
    """Say whether `text` is meant as a table of DeepLabCut."""
    return text.lstrip("\ufeff \r\n").startswith("scorer,")


def refuse_h5(path: Path) -> UserError:
    """Return the error for an HDF5 file, in which DeepLabCut pickles its tables."""
    return refusal(
        path,
        "an HDF5 file: what DeepLabCut puts there is pickled, and could run any program",
        "Give the .csv file of the same name that DeepLabCut writes beside it.",
    )


def read_deeplabcut(text: str, path: Path) -> LandmarkFile:
    """Return the landmarks in the CSV `text` of the file `path`."""
    rows = rows_of(text, path)
    header: dict[str, list[str]] = {}
    for _, row in rows:
        header[row[0].strip()] = row
        if row[0].strip() == "coords" or len(header) == _MOST_HEADER_ROWS:
            break
    if not {"bodyparts", "coords"} <= set(header):
        found = ", ".join(show(name) for name in header)
        todo = f"Due are scorer, bodyparts and coords. {_AGAIN}"
        raise refusal(path, f"its header rows are {found}", todo)
    first = next((n for n, c in enumerate(header["coords"]) if c.strip() in _COORDS), 0)
    columns = _columns(header, first, path)
    gathered = Collector(path, "deeplabcut")
    for line, row in rows:
        name = clean_image_name("/".join(cell.strip() for cell in row[: max(first, 1)]))
        if not name:
            raise refusal(path, f"line {line} names no image", _AGAIN)
        name = gathered.add_image(name)
        if any(gathered.has(name, label) for label in columns):
            raise refusal(path, f"line {line} is of {show(name)} again", "Keep one of the rows.")
        for label, places in columns.items():
            cells = {axis: row[at].strip() if at < len(row) else "" for axis, at in places.items()}
            gathered.add(name, _landmark(label, cells, line, path))
    return gathered.file()


def _columns(header: dict[str, list[str]], first: int, path: Path) -> dict[str, dict[str, int]]:
    """Return, by label, in which column each coordinate stands."""
    parts, coords = header["bodyparts"], header["coords"]
    animals = header.get("individuals", [""] * len(parts))
    if not len(parts) == len(coords) == len(animals):
        raise refusal(path, "its header rows are not of one length", _AGAIN)
    found: dict[str, dict[str, int]] = {}
    for at in range(max(first, 1), len(coords)):
        animal = animals[at].strip()
        # "single" stands for points that belong to no animal, such as the corners of the box.
        who = f"{animal} " if animal not in ("", "single") else ""
        label = label_or(who + parts[at], f"column {at + 1}")
        axis = coords[at].strip()
        if axis not in _COORDS or axis in found.get(label, {}):
            todo = f"Due are x, y and likelihood, once for a body part. {_AGAIN}"
            raise refusal(path, f"column {at + 1} ({show(label)}) is {show(axis)}", todo)
        found.setdefault(label, {})[axis] = at
    lacking = next((label for label, axes in found.items() if not {"x", "y"} <= set(axes)), None)
    if not found or lacking:
        raise refusal(path, f"no x and y for {show(lacking or 'any body part')}", _AGAIN)
    return found


def _landmark(label: str, cells: dict[str, str], line: int, path: Path) -> Landmark:
    empty = ("", "nan", "NaN")
    if cells["x"] in empty and cells["y"] in empty:
        return Landmark(label, state="undefined")
    x, y = parse_number(cells["x"]), parse_number(cells["y"])
    text = cells.get("likelihood", "")
    score = None if text in empty else parse_number(text)
    if x is None or y is None or (text not in empty and (score is None or not 0 <= score <= 1)):
        todo = "Due are two numbers in pixels and a likelihood from 0 to 1, or nothing at all."
        came = f"x {show(cells['x'])}, y {show(cells['y'])}, likelihood {show(text)}"
        raise refusal(path, f"line {line} has {came} for {show(label)}", todo)
    return Landmark(label, x, y, "confirmed" if score is None else "found", score)
