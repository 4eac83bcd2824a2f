"""`medssl mirror`: a library's embeddings in an engine for more than one machine can search."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_medssl.backend.mirror_library import MirrorConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "mirror",
        epilog="Example: medssl mirror --library biopsies --engine s3://bucket/biopsies",
    )(mirror)


@with_config(MirrorConfig)
def mirror(
    library: Annotated[
        str,
        typer.Option(help="Library: a folder, or s3://, gs:// or az://...", metavar="DIR|URL"),
    ],
    engine: Annotated[
        str,
        typer.Option(help="LanceDB: a folder, or s3://, gs:// or az://...", metavar="URL"),
    ],
    config: MirrorConfig,
) -> None:
    """Bring a mirror of a library up to date, which `medssl search --engine URL` searches.

    Only slides that are new or changed are written; those that left the library leave the mirror.
    Stopped or killed, the same command goes on where it was.
    """
    from napari_medssl.backend.mirror_library import mirror_library

    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Mirroring") as on_progress,
    ):
        report = mirror_library(
            library, engine, config, on_progress=on_progress, should_stop=should_stop
        )
    how = "exact" if report.recall == 1.0 else f"recall {report.recall:.3f}"
    _console.note(
        f"{_console.counted(report.added, 'slide')} added, {report.removed} taken out or replaced; "
        f"{_console.counted(report.tiles, 'tile')} in {report.collection}, search is {how}."
    )
    _console.finish(1, report.problems)
