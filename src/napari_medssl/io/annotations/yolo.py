"""Read YOLO sets: a text file for each picture, a line for each box, in fractions of the picture.

Lines are `class x y width height`, a sixth number is the score; `class x1 y1 x2 y2 x3 y3 ...` is a
turned box or a polygon and gives its bounds (a score may follow). With `kpt_shape` in data.yaml
the numbers after the fifth are keypoints and are passed over.

The format holds no sizes: they come from `images.csv` (which our writer adds), else from the
pictures beside (`../images`, the same folder, `images`). A picture that is not there gets the
size 1 x 1, so that its boxes stay in fractions, with a note and `{"units": "fraction"}`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import names
from napari_medssl.io.annotations.documents import parse_yaml, read_text, show
from napari_medssl.io.annotations.report import BoxFile, Report
from napari_medssl.io.annotations.shapes import Bounds, as_score, as_side, has_area, make_box
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.io.images import image_size

INDEX = "images.csv"
"""File beside `labels` that says which picture a label file belongs to, and its size."""

CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels")
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")

_FURTHEST = 2.0  # fractions beyond this are pixels by mistake
_WHOLE = 1e-9  # pixels: boxes this near to a whole number were one before they became fractions
_MAX_CLASS = 1_000_000


@dataclass(slots=True)
class _Set:
    """What is known of the whole set."""

    root: Path
    images: Path | None
    classes: dict[int, str] = field(default_factory=dict)
    sizes: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    has_keypoints: bool = False


def is_label_file(path: Path) -> bool:
    """Say whether the text file at `path` has a line that begins with a class and four numbers."""
    try:
        with path.open("rb") as stream:
            lines = stream.read(4096).decode("latin-1").splitlines()
    except OSError:
        return False
    return any(_row(line) is not None for line in lines)


def read_yolo(
    files: list[Path],
    root: Path,
    images: Path | None = None,
    *,
    settings: Path | None = None,
    above: int = 0,
) -> BoxFile:
    """Return the boxes of the label `files` of one set; `root` is its folder.

    `settings` is its data.yaml, where that has another name. Class names are looked for in
    `root`, beside the first label file, and in `above` folders above `root`.
    """
    report = Report(root.name or "YOLO")
    known = _Set(root, images)
    if settings is not None:
        _read_yaml(settings, known, report)
    _read_set([root, *(path.parent for path in files[:1]), *root.parents[:above]], known, report)
    order = {labels: position for position, labels in enumerate(known.sizes)}
    keys = {path: names.relative_name(path.resolve(), root) for path in files}
    files = sorted(files, key=lambda path: order.get(keys[path], len(order)))  # stable
    found = []
    for path in files:
        report.source = path.name
        found.append(_read_labels(path, known, report))
    return report.box_file(found, root)


def _read_set(folders: list[Path], known: _Set, report: Report) -> None:
    """Find class names and sizes in `folders`; the first that has some counts."""
    for folder in dict.fromkeys(folders):
        for name in YAML_FILES:
            if not known.classes and (folder / name).is_file():
                _read_yaml(folder / name, known, report)
        for name in CLASS_FILES:
            if not known.classes and (folder / name).is_file():
                lines = read_text(folder / name, 1_000_000, may_be_empty=True).splitlines()
                known.classes = dict(enumerate(line.strip() for line in lines if line.strip()))
        if not known.sizes and (folder / INDEX).is_file():
            _read_index(folder / INDEX, known, report)
    if not known.classes:
        report.note("no classes.txt or data.yaml: classes are named by their numbers")


def _read_yaml(path: Path, known: _Set, report: Report) -> None:
    content = parse_yaml(path)
    entries = content.get("names")
    if isinstance(entries, list):
        entries = dict(enumerate(entries))
    if not isinstance(entries, dict):
        report.note(f"{path.name} has no names of classes, but {show(entries)}")
        return
    for number, name in entries.items():
        if type(number) is int and isinstance(name, str | int) and 0 <= number <= _MAX_CLASS:
            known.classes[number] = str(name)
        else:
            report.note(f"{path.name}: class {show(number)} named {show(name)} is passed over")
    count = content.get("nc")
    if isinstance(count, int) and count != len(entries):
        report.note(f"{path.name} says {show(count)} classes and names {len(entries)}")
    known.has_keypoints = "kpt_shape" in content


def _read_index(path: Path, known: _Set, report: Report) -> None:
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        listed = list(rows)
    except csv.Error as error:
        raise UserError(f"Cannot read {str(path)!r}: not a sound table ({error}).") from error
    for number, row in enumerate(listed, start=1):
        width, height = (_read_side(row.get(side)) for side in ("width", "height"))
        if row.get("labels") and row.get("file_name") and width and height:
            known.sizes[str(row["labels"])] = (str(row["file_name"]), width, height)
        else:
            report.note(f"{path.name}: row {number} is passed over")


def _read_side(text: Any) -> int:
    return as_side(int(text)) if isinstance(text, str) and text.isdecimal() and len(text) < 9 else 0


def _read_labels(path: Path, known: _Set, report: Report) -> ImageBoxes:
    name, width, height, extra = _picture(path, known, report)
    boxes = []
    # A picture without boxes has an empty file: that is no fault here.
    for position, line in enumerate(read_text(path, may_be_empty=True).splitlines(), start=1):
        box = _read_line(line, f"line {position}", known, report) if line.strip() else None
        if box is not None:
            boxes.append(_scaled(box, width, height))
    return ImageBoxes(name, width, height, tuple(boxes), extra)


def _picture(path: Path, known: _Set, report: Report) -> tuple[str, int, int, dict[str, Any]]:
    """Return file name, width, height and extra fields of the picture of a label file."""
    indexed = known.sizes.get(names.relative_name(path.resolve(), known.root))
    if indexed is not None:
        return *indexed, {"units": "fraction"} if indexed[1:] == (1, 1) else {}
    picture = names.find_by_stem(path.stem, path.parent, known.images)
    if picture is not None:
        try:
            return names.relative_name(picture, known.root), *image_size(picture), {}
        except UserError as error:
            report.note(str(error))
    report.note(
        f"no picture {path.stem!r} beside it: its boxes are in fractions of the picture, "
        "as if that had 1 x 1 pixels; name the folder of the pictures to have pixels"
    )
    return path.stem, 1, 1, {"units": "fraction"}


def _row(line: str) -> list[float] | None:
    """Return the numbers of a line, a class and four at least, else None."""
    parts = line.split()
    if len(parts) < 5 or len(parts) > 100_000:
        return None
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None


def _read_line(line: str, what: str, known: _Set, report: Report) -> Box | None:
    """Return the box of a line in fractions of the picture."""
    row = _row(line)
    if row is None or not (row[0].is_integer() and 0 <= row[0] <= _MAX_CLASS):
        report.fail(what, f"{show(line)} is not 'class x y width height'")
        return None
    bounds, score = _bounds(row[1:], known.has_keypoints)
    if not all(-_FURTHEST <= value <= _FURTHEST + 1 for value in bounds):
        report.fail(what, f"{show(line)} is not in fractions of the picture")
        return None
    if not has_area(bounds):
        report.fail(what, f"{show(line)} has no area")
        return None
    number = int(row[0])
    return make_box(bounds, known.classes.get(number, f"class {number}"), as_score(score))


def _bounds(values: list[float], has_keypoints: bool) -> tuple[Bounds, float | None]:
    """Return bounds in fractions and the score, by how many numbers there are."""
    if len(values) <= 5 or has_keypoints:
        x, y, width, height = values[:4]
        score = values[4] if len(values) == 5 else None
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), score
    score = values[-1] if len(values) % 2 else None
    points = values[: len(values) // 2 * 2]
    if not all(-_FURTHEST <= value <= _FURTHEST + 1 for value in points):
        return (float("nan"),) * 4, score
    return (min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])), score


def _scaled(box: Box, width: int, height: int) -> Box:
    """Return a box in fractions as a box in pixels."""
    corners = (box.x0 * width, box.y0 * height, box.x1 * width, box.y1 * height)
    x0, y0, x1, y1 = (
        float(round(value)) if abs(value - round(value)) <= _WHOLE else value for value in corners
    )
    return make_box((x0, y0, x1, y1), box.category, box.score)


def class_numbers(images: list[ImageBoxes]) -> Mapping[str, int]:
    """Return a number from 0 for each category of `images`, in order of appearance."""
    used = dict.fromkeys(box.category for image in images for box in image.boxes)
    return {name: number for number, name in enumerate(used)}
