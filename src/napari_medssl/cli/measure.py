"""`medssl measure`: distances and angles between landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.measure_files import MeasureConfig, measure_file
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "measure",
        epilog="Example: medssl measure points.csv --definitions angles.csv --out table.csv. "
        "A definition is 'distance S N', 'angle S N A' (at N), 'angle Po Or / Go Me' (of two "
        "lines), 'distance Li / Pn Pog' (from a line) or 'difference SNA SNB'.",
    )(measure)


@with_config(MeasureConfig)
def measure(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="Landmarks: CSV, 3D Slicer, COCO keypoints, CVAT or DeepLabCut.",
        ),
    ],
    definitions: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="CSV with the columns name,definition; or lines 'SNA = angle S N A'.",
            show_default=False,
        ),
    ],
    config: MeasureConfig,
    out: Annotated[Path, typer.Option(metavar="CSV", help="Table to write.", show_default=False)],
) -> None:
    """Measure distances and angles between landmarks, a row of a table for each image.

    Lengths are in pixels and, where the size of a pixel is known, in mm; angles in degrees. Where a
    landmark is missing the cell is empty.
    """
    check_output(out, "--out", [source, definitions])
    report = measure_file(source, definitions, out, config)
    for note in report.notes:
        _console.warn(note)
    if report.empty:
        _console.note(f"{_console.counted(report.empty, 'value')} empty: a landmark is missing")
    _console.say(
        f"{_console.counted(report.measurements, 'measurement')} of "
        f"{_console.counted(report.images, 'image')} written to "
        f"{_console.escape_name(str(out))}"
    )
