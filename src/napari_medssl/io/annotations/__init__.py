"""Boxes in the formats of other tools: COCO, YOLO, Pascal VOC, and labelme to read.

What each format keeps:

| | COCO | Pascal VOC | YOLO |
|---|---|---|---|
| coordinates | every bit | every bit | to 1e-9 px or 1e-9 of the value |
| score, class | yes | yes | yes |
| panel letter | `label` | `<label>` | no |
| other fields of an image | yes | `depth` | no |

Boxes are half open, (x0, y0, x1, y1) in pixels, and are never clamped or rounded here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.coco_writer import write_coco
from napari_medssl.io.annotations.detect import read_file, read_folder
from napari_medssl.io.annotations.report import BoxFile
from napari_medssl.io.annotations.voc import check_single, write_voc
from napari_medssl.io.annotations.yolo_writer import write_yolo
from napari_medssl.io.boxes import ImageBoxes
from napari_medssl.io.files import check_writable, make_folder

__all__ = ["FORMATS", "BoxFile", "prepare_place", "read_boxes", "write_boxes"]

FORMATS = ("coco", "yolo", "voc")
"""Formats that `write_boxes` writes; `read_boxes` reads labelme too."""


def read_boxes(
    path: str | os.PathLike[str], *, images: str | os.PathLike[str] | None = None
) -> BoxFile:
    """Return the boxes in the annotation file or folder `path`, whatever its format.

    The format is told by the content. `images` is the folder of the pictures, where sizes must
    come from them and they do not lie beside the annotations. Raises `UserError` for a file or
    folder that is missing, damaged, or holds no annotations; shapes that give no box are skipped
    with a line in the result.
    """
    place = Path(path)
    pictures = None if images is None else Path(images)
    if pictures is not None and not pictures.is_dir():
        raise UserError(f"No folder of pictures at {str(pictures)!r}.")
    if place.is_dir():
        return read_folder(place, pictures)
    return read_file(place, pictures)


def prepare_place(path: str | os.PathLike[str], format: str, count: int) -> None:  # noqa: A002
    """Make the folders for `count` images in a format and see that they can be written to.

    To be called before hours of work whose boxes go there.

    Raises
    ------
    UserError
        If `path` cannot take them, by its kind (file or folder) or by its permissions.
    """
    place = Path(path)
    is_xml = format == "voc" and place.suffix.lower() == ".xml"
    if is_xml:
        check_single(count, place)
    if is_xml or format == "coco":
        make_folder(place.parent)
        check_writable(place)
    else:
        make_folder(place)
        check_writable(place / "images.csv")


def write_boxes(
    images: Iterable[ImageBoxes],
    path: str | os.PathLike[str],
    format: str,  # noqa: A002 (the word that people use)
    *,
    header: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Write `images` to `path` as "coco" (a file), "voc" (a file or folder) or "yolo" (a folder).

    `header` is that of the `BoxFile` the images came from, for COCO. Returns lines about what
    the format cannot hold, to be shown to the person. Every file is written whole or not at all.
    """
    listed = list(images)
    place = Path(path)
    if format == "coco":
        return write_coco(listed, place, header)
    if format == "voc":
        return write_voc(listed, place)
    if format == "yolo":
        return write_yolo(listed, place)
    raise UserError(f"No format {format!r}. Choose one of {', '.join(FORMATS)}.")
