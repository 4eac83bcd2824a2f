"""`medssl embed`: embeddings of pictures as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.embed import EmbedConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "embed", epilog="Example: medssl embed tiles/ --encoder imagenet --out tiles.parquet"
    )(embed)


@with_config(EmbedConfig)
def embed(
    images: Annotated[
        list[Path], typer.Argument(help="Pictures of tiles, or folders.", metavar="IMAGES")
    ],
    out: Annotated[
        Path, typer.Option(help="The table: a Parquet file with `image` and `embedding`.")
    ],
    config: EmbedConfig,
) -> None:
    """Embed pictures of tiles: a row with a unit-length vector for each.

    A picture is cut to its middle square and brought to the encoder's size. What cannot be read
    is reported on stderr and left out. A run that was stopped or killed goes on where it was when
    the same command is given again.
    """
    from napari_medssl.backend.embed import embed_images

    check_output(out, "--out", images)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Embedding") as on_progress,
    ):
        report = embed_images(images, out, config, on_progress=on_progress, should_stop=should_stop)
    if report.resumed:
        count = _console.counted(report.resumed, "picture")
        _console.note(f"{count} of an earlier run were not embedded again.")
    if report.images:
        count = _console.counted(len(report.images), "picture")
        _console.note(
            f"{count} in {report.embeddings.shape[1]} dimensions written to "
            f"{_console.escape_name(str(out))}"
        )
    _console.finish(len(report.images), report.failures)
