"""`medssl reconstruct`: what a trained autoencoder keeps of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.reconstruct_files import ReconstructConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "reconstruct",
        epilog="Example: medssl reconstruct cells/ --model cells.safetensors --out seen/",
    )(reconstruct)


@with_config(ReconstructConfig)
def reconstruct(
    inputs: Annotated[
        list[Path], typer.Argument(help="Pictures and folders of them.", metavar="IMAGE|DIR")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the pictures and reconstructions.csv.", metavar="DIR")
    ],
    config: ReconstructConfig,
    recursive: Annotated[bool, typer.Option(help="Also look into the folders of a folder.")] = True,
) -> None:
    """Reconstruct pictures: each is written with its reconstruction on its right.

    reconstructions.csv has the cluster of each and its error: the root of the mean squared error
    of its pixels, 0 to 1. A picture that cannot be read is reported on stderr and the rest goes on.
    """
    from napari_medssl.backend.reconstruct_files import reconstruct_files
    from napari_medssl.io.images import scan_images

    check_output(out, "--out", [path for path in inputs if path.is_file()])
    listing = scan_images(inputs, recursive=recursive)
    if not listing.refs:
        if not listing.failures:
            _console.fail(f"No picture in {', '.join(repr(str(p)) for p in inputs)}.")
        _console.finish(0, listing.failures)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Reconstructing") as on_progress,
    ):
        report = reconstruct_files(
            listing.refs, out, config, on_progress=on_progress, should_stop=should_stop
        )
    if report.pictures:
        _console.note(
            f"{_console.counted(len(report.pictures), 'picture')} written to "
            f"{_console.escape_name(str(out))}, mean error {report.error:.4f}"
        )
    _console.finish(len(report.pictures), (*listing.failures, *report.failures))
