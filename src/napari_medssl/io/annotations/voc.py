"""Pascal VOC: one XML file for each picture.

The format began with pixel indices that count from 1 and include the last pixel. The tools that
write it today (labelImg, labelme, Label Studio, Roboflow, CVAT) put corner coordinates there, as
ours does, so `xmin`, `ymin`, `xmax`, `ymax` are read as the half-open box they are. Only files
of the original sets, whose `source/database` begins with "The VOC", have 1 taken from `xmin` and
`ymin`. `score` (or `confidence`) and `label` (panel letter) are children of `object`.

Written: whole numbers without a point, others with all their digits, so that boxes come back
exactly. Of `ImageBoxes.extra` the field `depth` is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import names
from napari_medssl.io.annotations.documents import parse_xml, show
from napari_medssl.io.annotations.report import BoxFile, Report
from napari_medssl.io.annotations.shapes import (
    Bounds,
    as_number,
    as_score,
    as_side,
    has_area,
    make_box,
)
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.io.files import make_folder, write_all_whole, write_whole

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_voc(path: Path, root: Path | None = None, images: Path | None = None) -> BoxFile:
    """Return the boxes of one Pascal VOC file.

    `root` is the folder that file names are made relative to (default: that of `path`), `images`
    the folder of the pictures, needed only where the file states no size.
    """
    tree = parse_xml(path)
    if tree.tag != "annotation":
        raise UserError(
            f"Cannot read {str(path)!r}: a Pascal VOC file begins with <annotation>, "
            f"not <{show(tree.tag)[1:-1]}>."
        )
    root = root or path.parent
    report = Report(path.name)
    first = 1.0 if _text(tree, "source/database").startswith("The VOC") else 0.0
    boxes = []
    for position, entry in enumerate(tree.findall("object"), start=1):
        box = _read_object(entry, f"object {position}", first, report)
        if box is not None:
            boxes.append(box)
    name = _text(tree, "filename") or path.stem
    stated = as_side(_number(tree, "size/width")), as_side(_number(tree, "size/height"))
    picture = names.find_picture(name, path.parent, root, images)
    if not names.is_safe_name(name):
        report.note(f"image {show(name)} is outside the folder: its name is kept, not its file")
    width, height = names.stated_or_real_size(*stated, picture)
    if not width:
        report.note(f"image {show(name)} has no usable size")
    if picture is not None and images is None:
        name = names.relative_name(picture, root)
    depth = _number(tree, "size/depth")
    extra: dict[str, Any] = {} if depth in (None, 3.0) else {"depth": int(depth or 0)}
    image = ImageBoxes(name, width, height, tuple(boxes), extra)
    return report.box_file([image], root)


def write_voc(images: Sequence[ImageBoxes], path: Path) -> tuple[str, ...]:
    """Write one XML file for a single image and a `path` ending in .xml, else a folder of them.

    Each file is written whole or not at all. Returns lines about what the format cannot hold.
    """
    lost: list[str] = []
    if path.suffix.lower() == ".xml":
        check_single(len(images), path)
        make_folder(path.parent)
        write_whole(path, _document(images[0], lost))
        return tuple(lost)
    stems = names.unique_stems([image.file_name for image in images])
    texts = [_document(image, lost) for image in images]
    make_folder(path)
    files = {path / f"{s}.xml": t.encode() for s, t in zip(stems, texts, strict=True)}
    write_all_whole(files)
    return tuple(lost)


def check_single(count: int, path: Path) -> None:
    """Raise `UserError` unless it is one image that is to go into the one file `path`."""
    if count != 1:
        raise UserError(
            f"Cannot write {count} images to {str(path)!r}: Pascal VOC holds one image "
            "in a file. Give a folder."
        )


def _read_object(entry: Element, what: str, first: float, report: Report) -> Box | None:
    """Return the box of an <object>; its parts (a person's head, hands) are not panels."""
    bounds = _bounds(entry, first)
    if bounds is None:
        report.fail(what, "no <bndbox> with four numbers")
        return None
    if not has_area(bounds):
        report.fail(what, f"box {show(list(bounds))} has no area")
        return None
    score = _number(entry, "score")
    score = _number(entry, "confidence") if score is None else score
    return make_box(bounds, _text(entry, "name") or "panel", as_score(score), _text(entry, "label"))


def _bounds(entry: Element, first: float) -> Bounds | None:
    corners = [_number(entry, f"bndbox/{corner}") for corner in _CORNERS]
    if all(value is not None for value in corners):
        x0, y0, x1, y1 = (value for value in corners if value is not None)
        return x0 - first, y0 - first, x1, y1
    xs = _polygon(entry, "x")
    ys = _polygon(entry, "y")
    return (min(xs), min(ys), max(xs), max(ys)) if len(xs) > 2 and len(ys) == len(xs) else None


def _polygon(entry: Element, axis: str) -> list[float]:
    """Return the x or y of <polygon>: <x1>, <y1>, <x2> ... (Roboflow) or <pt><x> (others)."""
    texts = [
        point.text or ""
        for point in entry.findall("polygon//*")
        if isinstance(point.tag, str) and re.fullmatch(f"{axis}[0-9]*", point.tag)
    ]
    values = [_as_float(text) for text in texts]
    return [value for value in values if value is not None]


def _text(entry: Element, where: str) -> str:
    """Return the text of a child; white space counts as a part of it unless it breaks lines."""
    text = entry.findtext(where) or ""
    return text.strip() if "\n" in text or not text.strip() else text


def _number(entry: Element, where: str) -> float | None:
    return _as_float(_text(entry, where))


def _as_float(text: str) -> float | None:
    try:
        return as_number(float(text))
    except ValueError:
        return None


def _document(image: ImageBoxes, lost: list[str]) -> str:
    tree = Element("annotation")
    _add(tree, "filename", _clean(image.file_name, lost))
    _add(SubElement(tree, "source"), "database", "napari-medssl")
    size = SubElement(tree, "size")
    _add(size, "width", str(image.width))
    _add(size, "height", str(image.height))
    _add(size, "depth", str(image.extra.get("depth", 3)))
    _add(tree, "segmented", "0")
    for box in image.boxes:
        entry = SubElement(tree, "object")
        _add(entry, "name", _clean(box.category, lost))
        for tag, value in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            _add(entry, tag, value)
        corners = SubElement(entry, "bndbox")
        for tag, number in zip(_CORNERS, (box.x0, box.y0, box.x1, box.y1), strict=True):
            _add(corners, tag, _digits(number))
        if box.score is not None:
            _add(entry, "score", repr(float(box.score)))
        if box.label:
            _add(entry, "label", _clean(box.label, lost))
    ElementTree.indent(tree)
    return ElementTree.tostring(tree, encoding="unicode") + "\n"


def _add(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = text


def _clean(text: str, lost: list[str]) -> str:
    """Return `text` without the characters that XML cannot hold."""
    clean = _NO_XML.sub("\ufffd", text)
    if clean != text:
        lost.append(f"{show(text)} holds characters that XML cannot; written as {show(clean)}")
    return clean


def _digits(value: float) -> str:
    value = float(value)
    return str(int(value)) if value.is_integer() else repr(value)
