"""`medssl separate`: the panels of figures, as boxes and as crops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from napari_medssl.backend.figures import SeparateConfig
from napari_medssl.backend.separate_files import SeparateReport, separate_files
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.io.boxes import ImageBoxes
from napari_medssl.io.images import ImageRef


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
        Path, typer.Option(help="Where the boxes go: a file for coco, a folder for yolo and voc.")
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

    A picture that cannot be read is reported on stderr and the rest goes on.
    """
    from napari_medssl.io.annotations import write_boxes
    from napari_medssl.io.crops import save_crops

    def save(ref: ImageRef, image: np.ndarray, found: ImageBoxes) -> None:
        if crops is not None:
            save_crops(image, found.boxes, crops, _crop_stem(found.file_name))

    with (
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
        for line in write_boxes(report.results, out, format):
            _console.warn(line)
        _console.note(_summary(report, out))
    elif not report.failures:
        _console.fail(f"No picture in {', '.join(repr(str(p)) for p in inputs)}.")
    _console.finish(len(report.results), report.failures)


def _crop_stem(file_name: str) -> str:
    return Path(file_name).name.replace("#page=", "-p").replace(".", "_")


def _summary(report: SeparateReport, out: Path) -> str:
    panels = sum(len(image.boxes) for image in report.results)
    return f"{panels} panels in {len(report.results)} figures, written to {out}"
