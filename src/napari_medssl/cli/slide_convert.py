"""`medssl slide convert` and `medssl slide verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend import convert_slide as work
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output
from napari_medssl.io.slide_store import StoreReport, StoreTakenError

_MOST_LINES = 20


def register(slide_app: typer.Typer) -> None:
    """Add the verbs to `medssl slide`."""
    slide_app.command(
        "convert", epilog="Example: medssl slide convert biopsy.svs --out biopsy.ome.zarr"
    )(convert)
    slide_app.command("verify", epilog="Example: medssl slide verify biopsy.ome.zarr")(verify)


@with_config(work.ConvertConfig)
def convert(
    slide: Annotated[
        str, typer.Argument(help="A slide: file, OME-Zarr folder or URL.", metavar="SLIDE")
    ],
    config: work.ConvertConfig,
    out: Annotated[Path, typer.Option(help="The store to write.", metavar="X.ome.zarr")],
) -> None:
    """Write a slide as OME-Zarr 0.5, for readers that do not know its format.

    Stopped or killed, the same command goes on where it was. Label and macro are not copied.
    """
    check_output(out, "--out", [Path(slide)])
    try:
        with (
            _console.stop_on_interrupt() as should_stop,
            _console.progress_bar("Converting") as on_progress,
        ):
            report = work.convert_slide(
                slide, out, config, on_progress=on_progress, should_stop=should_stop
            )
    except StoreTakenError as error:
        _console.fail(str(error))
        raise typer.Exit(_console.SOME_FAILED) from error
    for warning in report.warnings:
        _console.warn(warning)
    _console.say(_told(report.store))
    if report.store.resumed:
        _console.note(f"{report.store.resumed} shards were written by an earlier run.")


def verify(
    store: Annotated[
        Path, typer.Argument(help="A store that slide convert made.", metavar="X.ome.zarr")
    ],
) -> None:
    """Compare every file of a converted slide with its manifest."""
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Verifying") as on_progress,
    ):
        report = work.verify_slide_store(store, on_progress=on_progress, should_stop=should_stop)
    found = [
        (place, what)
        for what, places in (
            ("is missing", report.missing),
            ("is not as it was written", report.damaged),
            ("does not belong there", report.unexpected),
        )
        for place in places
    ]
    for place, what in found[:_MOST_LINES]:
        _console.fail(f"{_console.escape_name(store.name)}/{_console.escape_name(place)} {what}.")
    if len(found) > _MOST_LINES:
        _console.fail(f"{len(found) - _MOST_LINES} more. Convert the slide again.")
    if found:
        raise typer.Exit(_console.SOME_FAILED)
    _console.say(f"{store}: all {report.checked} files are as they were written.")


def _told(store: StoreReport) -> str:
    if store.was_finished:
        return f"{store.path} is finished already: the same slide with the same settings."
    left_out = f", {store.left_out} without tissue left out" if store.left_out else ""
    speed = work.megabytes_per_s(store.rgb_bytes, store.seconds)
    mpp = "" if store.mpp is None else f" at {store.mpp[0]:.4g} microns per pixel"
    return f"{store.path}: {store.shards} shards{left_out}{mpp}, {speed:.0f} MB/s."
