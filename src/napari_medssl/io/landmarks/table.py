"""Landmarks in CSV: `label,x,y` of one image, or `image,label,x,y` with `score` of many.

A row with empty x and y means "not in this image". A column `mm_per_px` says how large a pixel of
the image is. Columns may come in any order, and others (`x_mm`, notes of a person) are passed over.
Comma, semicolon and tab separate; beside a semicolon or tab the decimal sign may be a comma. A row
that cannot be understood refuses the file: points that go missing without a word would look like
landmarks that nobody marked.

Written: numbers are the shortest decimals that give the same float back; a column `state` only if
a state would not come back without it (`landmark.usual_state`). Texts that a spreadsheet would
take for a formula get an apostrophe, which is taken away again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from napari_medssl.io.annotations.documents import show
from napari_medssl.io.csv_files import write_csv
from napari_medssl.io.image_names import clean_image_name
from napari_medssl.io.landmarks.collector import Collector, parse_number, refusal
from napari_medssl.io.landmarks.landmark import (
    NO_NAME,
    ImageLandmarks,
    Landmark,
    LandmarkFile,
    State,
    clean_name,
    usual_state,
)
from napari_medssl.io.limits import one_line

_FORMULA = re.compile(r"'+[=+\-@\t\r]")
_COLUMNS = ("image", "label", "x", "y", "score", "state", "mm_per_px")
_NUMBERS = ("x", "y", "score", "mm_per_px")
_DUE = "Due are the columns label,x,y or image,label,x,y[,score], named in the first line."


def rows_of(text: str, path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of CSV text that are not empty, each with the number of its line.

    Raises
    ------
    UserError
        If a cell has more than 128 KiB, or quotes are broken.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise refusal(
            path,
            f"line {reader.line_num} is no CSV ({one_line(error)})",
            "Open and save it again with a spreadsheet.",
        ) from error


def read_table(text: str, path: Path) -> LandmarkFile:
    """Return the landmarks in the CSV `text` of the file `path`."""
    first = text.lstrip("\r\n \ufeff").split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = rows_of(text, path, delimiter)
    _, header = next(rows, (0, []))
    columns = _columns(header, path)
    gathered = Collector(path, "csv")
    sides: dict[str, float] = {}
    for line, row in rows:
        cells = {name: row[at].strip() if at < len(row) else "" for name, at in columns.items()}
        if delimiter != ",":
            cells |= {k: cells[k].replace(",", ".") for k in _NUMBERS if k in cells}
        image = _add_row(cells, line, gathered)
        _note_side(cells.get("mm_per_px", ""), image, line, path, sides)
    file = gathered.file()
    told = (
        replace(each, spacing_mm=(sides[each.image],) * 2) if each.image in sides else each
        for each in file.images
    )
    return replace(file, images=tuple(told))


def write_table(images: Sequence[ImageLandmarks], path: Path, *, with_mm: bool) -> tuple[str, ...]:
    """Write landmarks as CSV; without column `image` for a single image that has no name.

    With `with_mm` the columns `x_mm` and `y_mm` are added, counted from the centre of the top left
    pixel; they are empty where the spacing of an image is not known.
    """
    pairs = [(image, landmark) for image in images for landmark in image.landmarks]
    has_names = any(image.image for image in images) or len(images) > 1
    has_scores = any(landmark.score is not None for _, landmark in pairs)
    has_states = any(m.state != usual_state(m.place, m.score) for _, m in pairs)
    keep = {
        "image": has_names, "label": True, "x": True, "y": True, "score": has_scores,
        "state": has_states, "x_mm": with_mm, "y_mm": with_mm,
    }  # fmt: skip
    header = [name for name, is_kept in keep.items() if is_kept]
    rows = (_cells(image, landmark) for image, landmark in pairs)
    write_csv(path, header, ([cells[name] for name in header] for cells in rows))
    hidden = sum(not landmark.is_visible for _, landmark in pairs)
    return (f"CSV has no place for what hides a point: {hidden} left out",) if hidden else ()


def _columns(header: list[str], path: Path) -> dict[str, int]:
    names = [name.strip().strip("\ufeff").lower() for name in header]
    for name in _COLUMNS:
        if names.count(name) > 1:
            raise refusal(path, f"the column {name!r} stands twice", _DUE)
    missing = [name for name in ("label", "x", "y") if name not in names]
    if missing:
        raise refusal(path, f"no column {missing[0]!r} in its first line {show(header)}", _DUE)
    return {name: names.index(name) for name in _COLUMNS if name in names}


def _note_side(text: str, image: str, line: int, path: Path, sides: dict[str, float]) -> None:
    """Take in how many mm a row says that a pixel of its image measures."""
    if not text:
        return
    side = parse_number(text)
    if side is None or not 1e-6 <= side <= 1e6:
        todo = "Due is the size of a pixel in mm, above 0, or an empty cell."
        raise refusal(path, f"line {line} has the mm_per_px {show(text)}", todo)
    if sides.setdefault(image, side) != side:
        what = f"line {line} has the mm_per_px {show(text)}, an earlier one {sides[image]:g}"
        raise refusal(path, what, "Give each image one size of its pixels.")


def _add_row(cells: dict[str, str], line: int, gathered: Collector) -> str:
    """Add the landmark of a row, given by column name; return the name of its image."""
    path = gathered.path
    label = clean_name(_without_apostrophe(cells["label"]))
    image = clean_image_name(_without_apostrophe(cells.get("image", NO_NAME)))
    if not label:
        raise refusal(path, f"line {line} has no label", "Name the landmark.")
    if "image" in cells and not image:
        raise refusal(path, f"line {line} names no image", "Fill in the column 'image'.")
    if gathered.has(image, label):
        where = f"image {show(image)}" if image else "the file"
        todo = "Keep one of the rows, or name the landmarks apart."
        raise refusal(path, f"line {line} gives {show(label)} a second time in {where}", todo)
    place = _place(cells, line, path)
    score = parse_number(cells["score"]) if cells.get("score") else None
    if cells.get("score") and (score is None or not 0 <= score <= 1):
        todo = "A score is a number from 0 to 1, or empty."
        raise refusal(path, f"line {line} has the score {show(cells['score'])}", todo)
    state = _state(cells.get("state", ""), usual_state(place, score))
    x, y = place or (None, None)
    try:
        gathered.add(image, Landmark(label, x, y, state or "undefined", score))
        sound = state is not None
    except ValueError:
        sound = False
    if not sound:
        what = f"line {line} has the state {show(cells['state'])} and place {show(place)}"
        todo = "Due is undefined or absent without a place, found or confirmed with one, or locked."
        raise refusal(path, what, todo)
    return image


def _place(cells: dict[str, str], line: int, path: Path) -> tuple[float, float] | None:
    if not cells["x"] and not cells["y"]:
        return None
    x, y = parse_number(cells["x"]), parse_number(cells["y"])
    if x is None or y is None:
        what = f"line {line} has x {show(cells['x'])} and y {show(cells['y'])}"
        raise refusal(path, what, "Due are two numbers in pixels, or both empty: not in the image.")
    return x, y


def _state(text: str, usual: State) -> State | None:
    """Return the state that `text` names, `usual` if it is empty, None if there is none such."""
    if not text:
        return usual
    return next((state for state in get_args(State) if state == text.lower()), None)


def _cells(image: ImageLandmarks, landmark: Landmark) -> dict[str, str | float]:
    x, y = landmark.place or ("", "")
    cells: dict[str, str | float] = {
        "image": _with_apostrophe(image.image),
        "label": _with_apostrophe(landmark.label),
        "x": x,
        "y": y,
        "score": "" if landmark.score is None else landmark.score,
        "state": landmark.state,
        "x_mm": "",
        "y_mm": "",
    }
    if landmark.place and image.spacing_mm:
        cells["x_mm"] = landmark.place[0] * image.spacing_mm[0]
        cells["y_mm"] = landmark.place[1] * image.spacing_mm[1]
    return cells


def _with_apostrophe(text: str) -> str:
    """Double the apostrophe of what looks as if `write_csv` had put it there."""
    return f"'{text}" if _FORMULA.match(text) else text


def _without_apostrophe(text: str) -> str:
    return text[1:] if _FORMULA.match(text) else text
