"""`medssl separate`: the panels of figures, as boxes and as crops."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer

from napari_medssl._errors import UserError
from napari_medssl.backend.figures import SeparateConfig
from napari_medssl.backend.separate_files import SeparateReport, separate_files
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output
from napari_medssl.io.boxes import ImageBoxes
from napari_medssl.io.images import ImageRef, scan_images

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
    that have boxes or a state already stay as they are. Ctrl+C writes what is finished.
    """
    from napari_medssl.io.annotations import prepare_place, write_boxes
    from napari_medssl.io.crops import save_crops
    from napari_medssl.state import project as projects

    is_project = out.suffix == projects.SUFFIX
    form = None if is_project else format
    _check_places(inputs, out, crops, form)
    listing = scan_images(inputs, recursive=recursive)
    if form is not None:
        check_output(out, "--out", {ref.path for ref in listing.refs})
    if not listing.refs:
        if not listing.failures:
            _console.fail(f"No picture in {', '.join(repr(str(p)) for p in inputs)}.")
        _console.finish(0, listing.failures)
    if form is not None:
        prepare_place(out, form, len(listing.refs))
    if crops is not None:
        prepare_place(crops, "yolo", len(listing.refs))
    project = projects.Project.open_or_create(out) if is_project else None
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
            listing,
            config,
            on_figure=save,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        if report.results and form is not None:  # in here, where Ctrl+C does not cut it off
            for line in write_boxes(report.results, out, form):
                _console.warn(line)
    if report.left:
        _console.finish_stopped(_stop_line(report, len(listing.refs), out), report.failures)
    if report.results:
        _console.note(_summary(report, out))
    _console.finish(len(report.results), report.failures)


def _check_places(inputs: Sequence[Path], out: Path, crops: Path | None, form: str | None) -> None:
    """Refuse outputs that lie on inputs or on each other; `form` is None for a project."""
    if form is not None:
        # Label files may lie beside their pictures, as sets of YOLO and Pascal VOC have them.
        is_folder = form == "yolo" or (form == "voc" and out.suffix.lower() != ".xml")
        check_output(out, "--out", [] if is_folder and out.is_dir() else inputs)
    if crops is None:
        return
    check_output(crops, "--crops", inputs)
    if crops.resolve() == out.resolve():
        raise UserError(f"--crops and --out are both {str(out)!r}. Name two places.")


def _stop_line(report: SeparateReport, total: int, out: Path) -> str:
    again = "Run the same command again for all of them."
    if not report.results:
        return f"Stopped after {total - report.left} of {total} figures; no box is written. {again}"
    return (
        f"Stopped after {total - report.left} of {total} figures. The result is partial: "
        f"{_summary(report, out)}. {again}"
    )


def _propose(project: Project, ref: ImageRef, found: ImageBoxes) -> None:
    """Put boxes into a project, letters in reading order; never over what is there."""
    from napari_medssl.state.layout_edit import letters_in_order

    try:
        str(ref.path).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{_console.escape_name(str(ref.path))}: a project holds no file whose name is not "
            "valid text. Rename it."
        ) from None
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
        f"{_console.counted(panels, 'panel')} in {_console.counted(figures, 'figure')}, "
        f"written to {_console.escape_name(str(out))}"
    )
