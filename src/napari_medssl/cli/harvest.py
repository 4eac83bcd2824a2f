"""`medssl harvest`: the panels of figures as a folder of single images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend import harvest as work
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "harvest", epilog="Example: medssl harvest papers/ figures/ --out singles --kind photo"
    )(harvest)


@with_config(work.HarvestConfig)
def harvest(
    inputs: Annotated[
        list[str], typer.Argument(help="Figures, PDF files and folders of them.", metavar="FIGURES")
    ],
    config: work.HarvestConfig,
    out: Annotated[
        Path, typer.Option(help="Folder for the single images and manifest.csv.", metavar="DIR")
    ],
) -> None:
    """Crop the panels of figures, drop duplicates, sort photographs from plots.

    Stopped or killed, the same command goes on where it was.
    """
    check_output(out, "--out")
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Harvesting") as on_progress,
    ):
        report = work.harvest(inputs, out, config, on_progress=on_progress, should_stop=should_stop)
    if not report.figures:
        _console.finish(0, report.failures)
    counted = _console.counted
    kinds = ", ".join(counted(count, kind) for kind, count in sorted(report.by_kind.items()))
    _console.say(
        f"{counted(report.kept, 'panel')} kept ({kinds or 'none'}) from "
        f"{counted(report.figures, 'figure')}; left out: "
        f"{counted(report.duplicates, 'duplicate')}, {report.too_small} too small, "
        f"{report.other_kind} of the other kind."
    )
    if report.resumed:
        verb = "was" if report.resumed == 1 else "were"
        _console.note(f"{counted(report.resumed, 'figure')} {verb} finished by an earlier run.")
    _console.finish(report.figures, report.failures)
