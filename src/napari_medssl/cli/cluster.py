"""`medssl cluster`: groups of pictures that look alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.cluster_folder import ClusterConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("cluster", epilog="Example: medssl cluster cells/ --out clusters.csv")(cluster)


@with_config(ClusterConfig)
def cluster(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures and folders, or a file of features: Parquet of `medssl embed`, "
            ".npy with .csv beside it, h5 of TRIDENT or CLAM.",
            metavar="INPUTS",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The table: image,cluster,confidence,x,y (CSV).")],
    config: ClusterConfig,
) -> None:
    """Find groups of pictures that look alike, without labels.

    ImageNet's features are fitted to the folder in some minutes, so that light, colour, place and
    direction count less than what is shown. Clusters are numbered from 0, the largest first; x
    and y are places on a map (UMAP) where pictures that look alike are near. After Ctrl+C the same
    command goes on where it was.
    """
    from napari_medssl.backend.cluster_folder import cluster_pictures

    check_output(out, "--out", inputs)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Clustering") as on_progress,
    ):
        report = cluster_pictures(
            inputs, out, config, on_progress=on_progress, should_stop=should_stop
        )
    count = _console.counted(len(report.labels), "picture")
    _console.note(f"Embeddings: {report.pictures.by}.")
    _console.note(
        f"{count} in {_console.counted(len(report.sizes), 'cluster')} ({report.how}; "
        f"{', '.join(map(str, report.sizes))}) written to {_console.escape_name(str(out))}"
    )
    _console.finish(len(report.labels), report.pictures.failures)
