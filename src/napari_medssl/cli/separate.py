"""`medssl separate`: the panels of figures, as boxes and as crops."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer

from napari_medssl.backend.figures import SeparateConfig
from napari_medssl.backend.separate_files import SeparateReport, separate_files
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.io.boxes import ImageBoxes
from napari_medssl.io.images import ImageRef

if TYPE_CHECKING:
    from napari_medssl.state.project import Project


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "separate", epilog="Example: medssl separate paper.pdf figures/ --out boxes.coco.json"
    )(separate)


@with_config(SeparateConfig)
def separate(
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Pictures, PDF files, and folders of them.", metavar="IMAGE|DIR"),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Where the boxes go: a file for coco, a folder for yolo and voc, NAME.medssl for "
            "a project to review in the window."
        ),
    ],
    config: SeparateConfig,
    format: Annotated[  # noqa: A002 - the word that people use
        Literal["coco", "yolo", "voc"], typer.Option(help="Form of the boxes.")
    ] = "coco",
    crops: Annotated[
        Path | None,
        typer.Option(help="Also write each panel as a PNG into this folder.", metavar="DIR"),
    ] = None,
    recursive: Annotated[
        bool, typer.Option(help="Also look into the folders inside folders.")
    ] = False,
) -> None:
    """Find the panels of compound figures and write a box for each, with its score.

    A picture that cannot be read is reported on stderr and the rest goes on. In a project, figures
    that have boxes or a state already stay as they are.
    """
    from napari_medssl.io.annotations import write_boxes
    from napari_medssl.io.crops import save_crops
    from napari_medssl.io.files import check_writable, make_folder
    from napari_medssl.state import project as projects

    project = projects.Project.open_or_create(out) if out.suffix == projects.SUFFIX else None

    if project is None and (format == "coco" or out.suffix.lower() == ".xml"):
        make_folder(out.parent)
        check_writable(out)
    elif project is None:
        make_folder(out)
    if crops is not None:
        make_folder(crops)
    taken: set[str] = set()

    def save(ref: ImageRef, image: np.ndarray, found: ImageBoxes) -> None:
        if project is not None:
            _propose(project, ref, found)
        if crops is not None:
            save_crops(image, found.boxes, crops, _crop_stem(found.file_name, taken))

    with (
        project or nullcontext(),
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Separating") as on_progress,
    ):
        report = separate_files(
            inputs,
            config,
            recursive=recursive,
            on_figure=save,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    if report.results:
        for line in write_boxes(report.results, out, format) if project is None else ():
            _console.warn(line)
        _console.note(_summary(report, out))
    elif not report.failures:
        _console.fail(f"No picture in {', '.join(repr(str(p)) for p in inputs)}.")
    _console.finish(len(report.results), report.failures)


def _propose(project: Project, ref: ImageRef, found: ImageBoxes) -> None:
    """Put boxes into a project, letters in reading order; never over what is there."""
    from napari_medssl.state.layout_edit import letters_in_order

    (key,) = project.add_images([(ref.path, ref.page)])
    if project.has_work_in(key):
        return
    letters = letters_in_order(dict(enumerate(found.boxes))) if len(found.boxes) > 1 else {}
    boxes = [replace(box, label=letters.get(n, "")) for n, box in enumerate(found.boxes)]
    project.store(key, (found.width, found.height)).replace_all(boxes, "separate")


def _crop_stem(file_name: str, taken: set[str]) -> str:
    """Name crops after the picture and its folders below the input; never twice the same."""
    wanted = stem = file_name.replace("#page=", "-p").replace(".", "_").replace("/", "_")
    number = 1
    while stem.casefold() in taken:
        number += 1
        stem = f"{wanted}-{number}"
    taken.add(stem.casefold())
    return stem


def _summary(report: SeparateReport, out: Path) -> str:
    panels = sum(len(image.boxes) for image in report.results)
    figures = len(report.results)
    return (
        f"{panels} panel{'' if panels == 1 else 's'} in "
        f"{figures} figure{'' if figures == 1 else 's'}, written to {out}"
    )
