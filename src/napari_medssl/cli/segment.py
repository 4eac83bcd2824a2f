"""`medssl segment`: the class of each pixel of pictures and volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "segment",
        epilog="Example: medssl segment eyes/ --model retina-vessels --out vessels/",
    )(segment)


@with_config(SegmentConfig)
def segment(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures, volumes (NIfTI, TIFF stacks, zarr) and folders of them.",
            metavar="IMAGE|DIR",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the masks.", metavar="DIR")],
    config: SegmentConfig,
    recursive: Annotated[
        bool, typer.Option(help="Also look into the folders inside folders.")
    ] = False,
) -> None:
    """Segment pictures and volumes; masks hold the class number of each pixel, 0 for none.

    STEM.png for a picture, but a mask in the same format, with the same spacing and name, for
    TIFF, NIfTI and zarr; volumes go slice by slice. What cannot be read is reported on stderr and
    the rest goes on. Ctrl+C keeps what is finished.
    """
    from napari_medssl.backend.segment_files import places_of, segment_files
    from napari_medssl.io.images import scan_images

    check_output(out, "--out", [path for path in inputs if path.is_file()])
    listing = scan_images(inputs, recursive=recursive, volumes=True)
    if not listing.refs:
        if not listing.failures:
            _console.fail(f"No picture in {', '.join(repr(str(p)) for p in inputs)}.")
        _console.finish(0, listing.failures)
    places_of(listing.refs, out)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Segmenting") as on_progress,
    ):
        report = segment_files(
            listing.refs, out, config, on_progress=on_progress, should_stop=should_stop
        )
    failures = (*listing.failures, *report.failures)
    total = len(listing.refs)
    if report.left:
        _console.finish_stopped(
            f"Stopped after {total - report.left} of {total} pictures. "
            "Run the same command again for all of them.",
            failures,
        )
    if report.written:
        names = ", ".join(f"{n} {name}" for n, name in enumerate(report.classes, start=1))
        _console.note(
            f"{_console.counted(len(report.written), 'picture')} segmented by {report.model!r} "
            f"(0 the rest, {names}), written to {_console.escape_name(str(out))}"
        )
    _console.finish(len(report.written), failures)
