"""`medssl sample`: new images from a trained autoencoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.sample_images import SampleConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "sample",
        epilog="Example: medssl sample --model cells.safetensors --count 16 --out samples/",
    )(sample)


@with_config(SampleConfig, skip={"between"})
def sample(
    out: Annotated[
        Path, typer.Option(help="Folder for the pictures and samples.csv.", metavar="DIR")
    ],
    config: SampleConfig,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="A path between two points, ends included: pictures, cluster:K, or "
            "TABLE.parquet#IMAGE.",
            metavar="A B",
        ),
    ] = None,
) -> None:
    """Sample images from a trained autoencoder: of its whole set, a cluster, or between two points.

    Each is written as sample-NNNN.png, with its cluster in samples.csv and its embedding in
    samples.parquet. The same seed gives the same images.
    """
    from napari_medssl.backend.sample_images import sample_images

    check_output(out, "--out")
    asked = replace(config, between=tuple(between or ()))
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Sampling") as on_progress,
    ):
        report = sample_images(out, asked, on_progress=on_progress, should_stop=should_stop)
    count = _console.counted(len(report.images), "sample")
    _console.note(f"{count} written to {_console.escape_name(str(out))}")
