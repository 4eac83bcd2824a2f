"""`medssl locate`: the landmarks of a template, in other images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from napari_medssl._errors import UserError
from napari_medssl.backend import locate as work
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "locate",
        epilog="Example: medssl locate --template a.png --landmarks a.csv scans --out found.csv",
    )(locate)


@with_config(work.LocateConfig)
def locate(
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Pictures, and folders of them.", metavar="IMAGE|DIR"),
    ],
    template: Annotated[
        list[str],
        typer.Option(help="Picture whose landmarks are known; may be given several times."),
    ],
    landmarks: Annotated[
        list[Path],
        typer.Option(help="Its landmarks, CSV with label,x,y; one file for each --template."),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Landmarks: .csv, .mrk.json or .fcsv (3D Slicer), .json (COCO)."),
    ],
    config: work.LocateConfig,
    format: Annotated[  # noqa: A002 - the word that people use
        Literal["csv", "slicer", "fcsv", "coco"] | None,
        typer.Option(help="Form of the landmarks; by default that of the suffix of --out."),
    ] = None,
    recursive: Annotated[
        bool, typer.Option(help="Also look into the folders inside folders.")
    ] = False,
) -> None:
    """Find the landmarks of one or several templates in other images.

    Each row has image, label, x, y and score; places are in pixels, x right, y down, the middle of
    the top left pixel at 0, 0. A landmark that is not in an image has an empty x and y. A picture
    that cannot be read is reported on stderr and the rest goes on. Stopped, the same command goes
    on where it was.
    """
    from napari_medssl.backend.landmark_files import scan_pictures
    from napari_medssl.io.files import check_writable
    from napari_medssl.io.landmarks import FORMATS, format_of, write_landmarks
    from napari_medssl.io.landmarks.slicer import check_one_image

    pairs = _pairs(template, landmarks)
    form = format or format_of(out)
    check_output(out, "--out", [*inputs, *landmarks, *(image for image, _ in pairs)])
    if form in ("slicer", "fcsv") and out.name.lower().endswith((FORMATS[form], ".json")):
        check_one_image(len(scan_pictures(inputs, recursive=recursive)[0]), out)
    elif form in ("csv", "coco"):
        check_writable(out)
    journal = out.with_name(f".{out.name}.medssl-locate")
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Locating") as on_progress,
    ):
        report = work.locate(
            pairs,
            inputs,
            config,
            journal=journal,
            recursive=recursive,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        if report.images:  # in here, where Ctrl+C does not cut it off
            for line in write_landmarks(report.images, out, form):
                _console.warn(line)
        journal.unlink(missing_ok=True)
    _console.note(_summary(report, out))
    _console.finish(len(report.images), report.failures)


def _pairs(template: Sequence[str], landmarks: Sequence[Path]) -> list[tuple[Path, Path]]:
    if len(template) != len(landmarks):
        raise UserError(
            f"{_console.counted(len(template), '--template')} and "
            f"{_console.counted(len(landmarks), '--landmarks')} came; due is one --landmarks for "
            "each --template, in the same order."
        )
    return [(Path(image), points) for image, points in zip(template, landmarks, strict=True)]


def _summary(report: work.LocateReport, out: Path) -> str:
    marks = [landmark for image in report.images for landmark in image.landmarks]
    absent = sum(landmark.place is None for landmark in marks)
    before = f", {report.resumed} of them by an earlier run" if report.resumed else ""
    return (
        f"{_console.counted(len(marks) - absent, 'landmark')} found by {report.model} in "
        f"{_console.counted(len(report.images), 'image')}{before}, {absent} not there; written to "
        f"{_console.escape_name(str(out))}"
    )
