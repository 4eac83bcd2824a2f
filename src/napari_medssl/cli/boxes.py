"""`medssl boxes`: bring boxes from one annotation format into another."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.jobs import Cancelled
from napari_medssl.cli import _console
from napari_medssl.cli._places import check_data_stays, check_output

_MOST_NOTES = 20
_STOPPED = "Stopped while reading; nothing is written. Run the same command again."


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


def _check_score(score: float | None) -> float | None:
    """Refuse what is no score; Typer's own check of a range takes NaN or tells it wrongly."""
    if score is not None and not 0 <= score <= 1:
        raise typer.BadParameter(f"'{score:g}' is out of range: due is 0 to 1.")
    return score


def boxes(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A COCO, YOLO, Pascal VOC or labelme file, or a folder of them; "
            "the format is told by the content. Or a project, NAME.medssl.",
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
    accepted: Annotated[
        bool, typer.Option("--accepted", help="Of a project, only the figures accepted.")
    ] = False,
    score: Annotated[
        float | None,
        typer.Option(
            callback=_check_score,
            metavar="<float> 0 to 1",
            help="Of a project, least score of boxes that nobody has checked; by default the one "
            "at which its model finds panels.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Convert boxes between COCO, YOLO and Pascal VOC; labelme is read too.

    Rectangles stay as they are; polygons, masks and circles give their bounds. What gives no box
    (points, lines) is told on stderr. Exit code 1: entries or files were broken and left out.
    """
    from napari_medssl.io.annotations import read_boxes, write_boxes
    from napari_medssl.state.project import SUFFIX

    check_output(out, "--out", [source])
    check_data_stays(out, "--out", source)
    if source.suffix == SUFFIX and source.is_dir():
        _export_project(source, to.value, out, accepted=accepted, score=score)
        return
    try:
        found = read_boxes(source, images=images)
    except KeyboardInterrupt:
        raise Cancelled(_STOPPED) from None
    with _console.stop_on_interrupt() as should_stop:  # what is being written is written whole
        if should_stop():
            raise Cancelled(_STOPPED)
        lost = write_boxes(found.images, out, to.value, header=found.header)
    broken = set(found.failures)
    _tell([line for line in found.skipped if line not in broken])
    _tell(list(found.notes))
    _tell(list(lost))
    for line in found.failures:
        _console.fail(line)
    count = sum(len(image.boxes) for image in found.images)
    _say_written(count, len(found.images), out)
    raise typer.Exit(_console.exit_code(len(found.images), len(found.failures)))


def _export_project(
    folder: Path, to: str, out: Path, *, accepted: bool, score: float | None
) -> None:
    from napari_medssl.backend.figures import DEFAULT_MODEL
    from napari_medssl.backend.models import load_card
    from napari_medssl.state.exchange import export_boxes, to_export
    from napari_medssl.state.project import Project
    from napari_medssl.state.queue import ReviewState

    with Project.open(folder) as project:
        states = [ReviewState.DONE] if accepted else list(ReviewState)
        if score is None:
            score = load_card(project.model or DEFAULT_MODEL).default_score
        figures = to_export(project, states, score)
    with _console.stop_on_interrupt():  # what is being written is written whole
        lost = export_boxes(figures, out, to)
    _tell(list(lost))
    count = sum(len(figure.boxes) for figure in figures)
    _say_written(count, len(figures), out)


def _say_written(boxes: int, images: int, out: Path) -> None:
    _console.say(
        f"{_console.counted(boxes, 'box')} of {_console.counted(images, 'image')} written to "
        f"{_console.escape_name(str(out))}"
    )


def _tell(lines: list[str]) -> None:
    """Print remarks as warnings, the first of many: each line would drown the others."""
    for line in lines[:_MOST_NOTES]:
        _console.warn(line)
    if len(lines) > _MOST_NOTES:
        _console.warn(f"and {len(lines) - _MOST_NOTES} more like these")
