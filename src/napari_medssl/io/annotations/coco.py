"""Read COCO detection files: `images`, `annotations`, `categories`.

`bbox` [x, y, width, height] as it is. Where there is an outline too (polygons, run-length
masks) and its bounds say something else, the bounds win, with a note: some converters write
nonsense into `bbox`, nobody draws a nonsensical outline. `score` and `label` (panel letter) are
read from annotations. Fields of image entries that we do not know are kept in
`ImageBoxes.extra`, the other top-level fields in `BoxFile.header`; outlines and other fields of
annotations are not kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import names
from napari_medssl.io.annotations.documents import show
from napari_medssl.io.annotations.report import BoxFile, Report
from napari_medssl.io.annotations.shapes import (
    Bounds,
    agree,
    as_score,
    as_side,
    has_area,
    make_box,
    numbers,
    outline_bounds,
)
from napari_medssl.io.boxes import Box, ImageBoxes

OWN_FIELDS = frozenset(("id", "file_name", "width", "height"))
"""Fields of an image entry that are fields of `ImageBoxes` too."""


def looks_like_coco(content: Any) -> bool:
    """Say whether parsed JSON is meant as a COCO detection file."""
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def read_coco(
    content: Any, path: Path, root: Path | None = None, images: Path | None = None
) -> BoxFile:
    """Return the boxes in the parsed JSON `content` of the file `path`.

    `root` is the folder that no picture is looked for outside of (default: that of `path`).
    """
    root = root or path.parent
    if not looks_like_coco(content):
        raise UserError(f"Cannot read {str(path)!r}: a COCO file has a list of 'images'.")
    report = Report(path.name)
    categories = _read_categories(content.get("categories"), report)
    boxes: dict[Any, list[Box]] = {}
    entries: list[tuple[dict[str, Any], list[Box]]] = []
    for position, entry in enumerate(content["images"], start=1):
        identity = _usable_id(entry, report, position)
        if identity is None:
            continue
        if identity in boxes:
            report.fail(f"image {show(entry['file_name'])}", f"id {show(identity)} is taken")
            continue
        boxes[identity] = []
        entries.append((entry, boxes[identity]))
    _read_annotations(content.get("annotations", []), categories, boxes, report)
    found = tuple(
        _image(entry, tuple(own), position, _Places(path, root, images, report))
        for position, (entry, own) in enumerate(entries, start=1)
    )
    header = {key: value for key, value in content.items() if key not in ("images", "annotations")}
    return report.box_file(found, root, header)


class _Places:
    """Where the pictures of one COCO file may be, and where to report."""

    def __init__(self, path: Path, root: Path, images: Path | None, report: Report) -> None:
        self.path, self.root, self.images, self.report = path, root, images, report


def _read_categories(entries: Any, report: Report) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("name") if isinstance(entry, dict) else None
        identity = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(identity, int | str):
            report.note(f"category {show(entry)} has no usable id and name")
        elif identity in found:
            report.note(f"category id {show(identity)} is used twice; {found[identity]!r} is kept")
        else:
            found[identity] = name
    return found


def _usable_id(entry: Any, report: Report, position: int) -> int | str | None:
    """Return the id of an image entry, None (and a line in the report) if it cannot be used."""
    if not isinstance(entry, dict):
        report.fail(f"image {position}", f"an object was due, not {show(entry)}")
        return None
    identity, name = entry.get("id"), entry.get("file_name")
    if not isinstance(identity, int | str) or isinstance(identity, bool):
        report.fail(f"image {position}", f"id {show(identity)} is no number")
        return None
    if not isinstance(name, str) or not name:
        report.fail(f"image {position}", f"file_name {show(name)} is no name")
        return None
    return identity


def _read_annotations(
    entries: Any, categories: dict[Any, str], boxes: dict[Any, list[Box]], report: Report
) -> None:
    """Put the box of each annotation into the list of its image."""
    if not isinstance(entries, list):
        report.fail("annotations", f"a list was due, not {show(entries)}")
        return
    seen: set[Any] = set()
    repeated = 0
    for position, entry in enumerate(entries, start=1):
        what = f"annotation {position}"
        if not isinstance(entry, dict):
            report.fail(what, f"an object was due, not {show(entry)}")
            continue
        identity, image = entry.get("id"), entry.get("image_id")
        if isinstance(identity, int | str):
            what = f"annotation {show(identity)}"
            repeated += identity in seen
            seen.add(identity)
        if not isinstance(image, int | str) or image not in boxes:
            report.fail(what, f"no image has the id {show(image)}")
            continue
        bounds = _bounds(entry, what, report)
        if bounds is not None:
            category = _category(entry.get("category_id"), categories, what, report)
            label = entry.get("label")
            label = label if isinstance(label, str) else ""
            score = as_score(entry.get("score"))
            boxes[image].append(make_box(bounds, category, score, label))
    if repeated:
        report.note(f"{repeated} annotations repeat the id of another; all are kept")


def _category(identity: Any, categories: dict[Any, str], what: str, report: Report) -> str:
    if isinstance(identity, int | str) and identity in categories:
        return categories[identity]
    report.note(f"{what} has the category {show(identity)}, which is not defined")
    return f"category {identity}" if isinstance(identity, int) else "panel"


def _bounds(entry: dict[str, Any], what: str, report: Report) -> Bounds | None:
    """Return the box of an annotation: see the module on `bbox` against outline."""
    values, corners = numbers(entry.get("bbox")), numbers(entry.get("corners"))
    stated: Bounds | None = None
    if values is not None and len(values) == 4:
        x, y, width, height = values
        stated = (x, y, x + width, y + height)
        if corners is not None and len(corners) == 4 and agree(stated, tuple(corners)):  # type: ignore[arg-type]
            stated = (corners[0], corners[1], corners[2], corners[3])
    outline = outline_bounds(entry.get("segmentation"))
    if outline is None and entry.get("segmentation"):
        report.note(f"{what}: its segmentation is not sound, its bbox counts")
    if outline is not None and has_area(outline):
        if stated is None or not has_area(stated) or not agree(stated, outline):
            report.note(f"{what}: bbox {show(entry.get('bbox'))} is not the box of its outline")
            return outline
        return stated
    if stated is None:
        report.fail(what, f"bbox {show(entry.get('bbox'))} is not [x, y, width, height]")
    elif not has_area(stated):
        report.fail(what, f"bbox {show(entry.get('bbox'))} has no area")
    else:
        return stated
    return None


def _image(entry: dict[str, Any], boxes: tuple[Box, ...], position: int, at: _Places) -> ImageBoxes:
    name = entry["file_name"]
    if not names.is_safe_name(name):
        at.report.note(f"image {show(name)} is outside the folder: its name is kept, not its file")
    stated = as_side(entry.get("width")), as_side(entry.get("height"))
    picture = None
    if not all(stated) or at.root != at.path.parent:
        picture = names.find_picture(name, at.path.parent, at.root, at.images)
    width, height = names.stated_or_real_size(*stated, picture)
    if not width:
        size = f"{show(entry.get('width'))} x {show(entry.get('height'))}"
        at.report.note(f"image {show(name)} has no usable size ({size})")
    if picture is not None and at.root != at.path.parent:
        name = names.relative_name(picture, at.root)
    extra = {key: value for key, value in entry.items() if key not in OWN_FIELDS}
    if entry["id"] != position:
        extra["id"] = entry["id"]
    return ImageBoxes(name, width, height, boxes, extra)
