"""`medssl tiles`: the tiles of a slide that show tissue, as a table and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl._errors import UserError
from napari_medssl.backend.tiles import TilesConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "tiles", epilog="Example: medssl tiles biopsy.svs --mpp 0.5 --size 224 --out tiles.parquet"
    )(tiles)


@with_config(TilesConfig)
def tiles(
    slide: Annotated[Path, typer.Argument(help="The slide.", metavar="SLIDE")],
    out: Annotated[
        Path, typer.Option(help="The table: a Parquet file with x, y, size, tissue and blur.")
    ],
    config: TilesConfig,
    save: Annotated[
        Path | None,
        typer.Option(help="Also write each tile as a PNG into this folder.", metavar="DIR"),
    ] = None,
) -> None:
    """List the tiles of a slide that show tissue, with how much of it and how sharp.

    x, y and size are in pixels of the full size, tissue is a part from 0 to 1, blur is in microns.
    Tiles that cannot be read are reported on stderr and left out.
    """
    from napari_medssl.backend.tiles import tile_slide

    check_output(out, "--out", [slide])
    if save is not None:
        check_output(save, "--save", [slide])
        if save.resolve() == out.resolve():
            raise UserError(f"--save and --out are both {str(out)!r}. Name two places.")
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Tiling") as on_progress,
    ):
        report = tile_slide(
            slide, out, config, save=save, on_progress=on_progress, should_stop=should_stop
        )
    for line in report.remarks:
        _console.warn(line)
    found = len(report.table)
    if not found and not report.failures:
        _console.warn("No tile shows enough tissue: the table is empty. Try a lower --min-tissue.")
    _console.note(f"{_console.counted(found, 'tile')} written to {_console.escape_name(str(out))}")
    _console.finish(max(found, 1), report.failures)
