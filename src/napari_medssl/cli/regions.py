"""`medssl regions`: regions of a slide as GeoJSON, a table or a mask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.regions import RegionsConfig, convert_regions
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config

_MOST_LINES = 20


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "regions",
        epilog="Example: medssl regions slide.geojson --to csv --out areas.csv --mpp 0.25",
    )(regions)


@with_config(RegionsConfig)
def regions(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="A GeoJSON file of QuPath, or a zip file of them."),
    ],
    config: RegionsConfig,
    out: Annotated[
        Path,
        typer.Option(
            metavar="OUT",
            help="File to write; .png or .tif for a mask, whose legend goes to a .json beside it.",
            show_default=False,
        ),
    ],
) -> None:
    """Count and measure the regions of a slide per class, or draw them as a mask.

    Broken features are told and left out (exit code 1). Areas of overlapping regions count once
    for each of them.
    """
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Drawing") as on_progress,
    ):
        report = convert_regions(
            source, out, config, on_progress=on_progress, should_stop=should_stop
        )
    _tell(_console.warn, report.notes)
    _tell(_console.fail, report.failures)
    for total in report.totals:
        mm2 = "" if total.area_mm2 is None else f", {total.area_mm2:.4g} mm²"
        name = _console.escape_name(total.name) or "(no class)"
        _console.say(f"{name}: {total.count} regions, {total.area_px:.10g} px²{mm2}")
    _console.say(f"written to {', '.join(str(path) for path in report.written)}")
    count = sum(total.count for total in report.totals)
    raise typer.Exit(
        _console.exit_code(count, len(report.failures)) if report.failures else _console.ALL_DONE
    )


def _tell(print_line: Callable[[str], None], lines: tuple[str, ...]) -> None:
    """Print lines, the first of many: each would drown the others."""
    for line in lines[:_MOST_LINES]:
        print_line(line)
    if len(lines) > _MOST_LINES:
        print_line(f"and {len(lines) - _MOST_LINES} more like these")
