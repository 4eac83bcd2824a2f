"""`medssl map`: places of pictures on a map, and how far to trust them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.map_table import MapConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("map", epilog="Example: medssl map cells/ --out map.parquet")(map_pictures)


@with_config(MapConfig)
def map_pictures(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures and folders, or a Parquet file of `medssl embed`.", metavar="INPUTS"
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="The table: image,x,y,trustworthiness,continuity,torn,false (.csv, .parquet)."
        ),
    ],
    config: MapConfig,
) -> None:
    """Lay pictures out on a map (UMAP) where those that look alike are near.

    Each has its trust, from 0 to 1: trustworthiness (what is near on the map is near indeed),
    continuity (what is near is near on the map), and the part of its neighbours that was torn
    away or only seems near. The map is the same for a seed, on any number of cores.
    """
    from napari_medssl.backend.map_table import map_pictures as work

    check_output(out, "--out", inputs)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Mapping") as on_progress,
    ):
        report = work(inputs, out, config, on_progress=on_progress, should_stop=should_stop)
    trust = report.trust
    _console.note(f"Embeddings: {report.pictures.by}.")
    _console.note(
        f"{_console.counted(len(report.places), 'picture')} written to "
        f"{_console.escape_name(str(out))}; trustworthiness {trust.mean_trustworthiness:.3f}, "
        f"continuity {trust.mean_continuity:.3f} of {trust.neighbours} neighbours"
    )
    if report.recall < 1:
        _console.note(
            f"Of the nearest neighbours {report.recall:.1%} were found; the map and its trust are "
            "made with these."
        )
    _console.finish(len(report.places), report.pictures.failures)
