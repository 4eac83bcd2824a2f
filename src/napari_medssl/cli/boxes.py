"""`medssl boxes`: bring boxes from one annotation format into another."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.cli import _console

_MOST_NOTES = 20


class Format(StrEnum):
    """Formats that we write."""

    coco = "coco"
    yolo = "yolo"
    voc = "voc"


def register(app: typer.Typer) -> None:
    """Add `boxes` to the command line."""
    app.command("boxes", epilog="Example: medssl boxes labels/ --to coco --out boxes.coco.json")(
        boxes
    )


def boxes(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A COCO, YOLO, Pascal VOC or labelme file, or a folder of them; "
            "the format is told by the content.",
        ),
    ],
    to: Annotated[Format, typer.Option(help="Format to write.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            metavar="OUT",
            help="A file for coco, a folder for yolo, a folder or one .xml file for voc.",
            show_default=False,
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the pictures, where sizes must come from them and they do not lie "
            "beside the annotations (YOLO).",
        ),
    ] = None,
) -> None:
    """Convert boxes between COCO, YOLO and Pascal VOC; labelme is read too.

    Rectangles stay as they are; polygons, masks and circles give their bounds. What gives no box
    (points, lines) is told on stderr. Exit code 1: entries or files were broken and left out.
    """
    from napari_medssl.io.annotations import read_boxes, write_boxes

    found = read_boxes(source, images=images)
    lost = write_boxes(found.images, out, to.value, header=found.header)
    broken = set(found.failures)
    _tell([line for line in found.skipped if line not in broken])
    _tell(list(found.notes))
    _tell(list(lost))
    for line in found.failures:
        _console.fail(line)
    count = sum(len(image.boxes) for image in found.images)
    _console.say(f"{count} boxes of {len(found.images)} images written to {out}")
    raise typer.Exit(_console.exit_code(len(found.images), len(found.failures)))


def _tell(lines: list[str]) -> None:
    """Print remarks as warnings, the first of many: each line would drown the others."""
    for line in lines[:_MOST_NOTES]:
        _console.warn(line)
    if len(lines) > _MOST_NOTES:
        _console.warn(f"and {len(lines) - _MOST_NOTES} more like these")
