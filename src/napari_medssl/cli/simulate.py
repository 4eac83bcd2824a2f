"""`medssl simulate ...`: make training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.figure_pool import SimulateConfig
from napari_medssl.cli import _console, new_app
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add `simulate` with its sub-verbs to the command line."""
    verbs = new_app(
        name="simulate",
        help="Make training data.",
        epilog="Example: medssl simulate figures --pool images --out simulated",
    )
    verbs.callback()(_group)
    verbs.command(
        "figures",
        epilog="Example: medssl simulate figures --pool images --out simulated --count 100",
    )(simulate_figures)
    app.add_typer(verbs)


def _group() -> None:
    """Make training data."""


@with_config(SimulateConfig)
def simulate_figures(
    pool: Annotated[Path, typer.Option(help="Folder of single images; a subfolder is a class.")],
    out: Annotated[Path, typer.Option(help="New folder for images/ and annotations.json.")],
    config: SimulateConfig,
) -> None:
    """Compose single images into compound figures and write them with COCO boxes."""
    from napari_medssl.backend.figure_pool import simulate_figures as work

    check_output(out, "--out")
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Simulating") as on_progress,
    ):
        count = work(pool, out, config, on_progress=on_progress, should_stop=should_stop)
    _console.note(
        f"{_console.counted(count, 'figure')} written to {_console.escape_name(str(out))}"
    )
