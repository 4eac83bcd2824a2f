"""`medssl masks`: measure masks, and write them in other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend.export_masks import ExportMasksConfig, export_folder
from napari_medssl.backend.measure_masks import MeasureMasksConfig, list_masks, measure_masks
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output

_Folder = Annotated[
    Path,
    typer.Argument(
        help="Folder of masks: PNG, TIFF, NIfTI or zarr of class numbers, 0 for none, slices or "
        "volumes.",
        metavar="DIR",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    from napari_medssl.cli import new_app

    masks_app = new_app(help="Measure masks, and write them in other formats.")
    masks_app.command(
        "measure",
        epilog="Example: medssl masks measure vessels/ --images eyes/ --pixel-size 0.0045 "
        "--names vessel --out areas.csv --summary classes.csv",
    )(measure)
    masks_app.command(
        "export",
        epilog="Example: medssl masks export vessels/ --format geojson --names vessel "
        "--out outlines/",
    )(export)
    masks_app.command(
        "repeat", epilog="Example: medssl masks repeat methods.json eyes/ --out again/"
    )(repeat)
    app.add_typer(masks_app, name="masks")


@with_config(MeasureMasksConfig)
def measure(
    masks: _Folder,
    config: MeasureMasksConfig,
    out: Annotated[
        Path,
        typer.Option(
            metavar="CSV",
            help="Table to write, a row for each class of each image.",
            show_default=False,
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The pictures of the same names: they give the field of view."
        ),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Second table: each class over all images."),
    ] = None,
    volumes: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Table of volumes: voxels and mm³ of each class."),
    ] = None,
) -> None:
    """Measure masks: area, objects and their size, part of the image, for each class.

    An object is what touches, also at a corner only. Areas are in pixels and, where the size of a
    pixel is known, in mm². Each slice of a volume (NIfTI, TIFF stack, zarr) is an image of its own.
    """
    inputs = list_masks(masks)
    check_output(out, "--out", inputs)
    if summary is not None:
        check_output(summary, "--summary", [*inputs, out])
    if volumes is not None:
        check_output(volumes, "--volumes", [*inputs, out, *([summary] if summary else [])])
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Measuring") as on_progress,
    ):
        report = measure_masks(
            masks,
            out,
            config,
            images=images,
            summary=summary,
            volumes=volumes,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    for note in report.notes:
        _console.warn(f"no field of view: {note}")
    for one in report.summary:
        mean = one.pixels.mean or 0.0
        mm2 = "" if one.mm2.mean is None else f", {one.mm2.mean:.6g} mm²"
        _console.note(
            f"{one.name}: {mean:.6g} pixels{mm2} on average, in {one.present} of "
            f"{one.pixels.count} images, {_console.counted(one.object_count, 'object')}"
        )
    if volumes is not None and not report.volumes:
        _console.warn("--volumes: no mask is a volume; the table has no rows")
    slices = f" of {report.images} slices" if report.images > report.files else ""
    _console.say(
        f"{_console.counted(report.files, 'mask')}{slices} measured, "
        f"{_console.counted(report.rows, 'row')} written to {_console.escape_name(str(out))}"
    )
    _console.finish(report.images, report.failures)


@with_config(ExportMasksConfig)
def export(
    masks: _Folder,
    config: ExportMasksConfig,
    out: Annotated[
        Path, typer.Option(help="Folder that a file of each mask goes to.", metavar="DIR")
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The pictures of the same names: outlines in regions of slides are in pixels of "
            "the slide then.",
        ),
    ] = None,
) -> None:
    """Write masks in another format: PNG, TIFF, NIfTI, or GeoJSON outlines for QuPath.

    Outlines run along the edges of pixels, so their areas are those of the mask. Of a volume each
    slice is a file, "heart-p3.png", but as NIfTI it is one. Ctrl+C keeps what is finished.
    """
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Writing") as on_progress,
    ):
        report = export_folder(
            masks, out, config, images=images, on_progress=on_progress, should_stop=should_stop
        )
    if report.left:
        total = report.left + len(report.written) + len(report.failures)
        _console.finish_stopped(
            f"Stopped after {total - report.left} of {total} masks. Run the same command again for "
            "all of them.",
            report.failures,
        )
    _console.say(
        f"{_console.counted(len(report.written), 'mask')} written to "
        f"{_console.escape_name(str(out))}"
    )
    _console.finish(len(report.written), report.failures)


def repeat(
    config: Annotated[
        Path,
        typer.Argument(help="Config file that the button Methods wrote.", metavar="JSON"),
    ],
    images: Annotated[
        list[Path], typer.Argument(help="The pictures and folders of them.", metavar="IMAGE|DIR")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder that STEM.png of each picture goes to.", metavar="DIR")
    ],
    model: Annotated[
        str, typer.Option(help="Where the model is, if it is not registered.", metavar="FILE")
    ] = "",
    device: Annotated[str, typer.Option(help="Where to run: auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Segment pictures again as a methods paragraph tells: same model, same settings.

    The model has to be the very one of then: the sums of its weights are compared. What hands
    corrected is not repeated.
    """
    from napari_medssl.backend.repeat_masks import read_plan, repeat_masks
    from napari_medssl.io.images import scan_images

    check_output(out, "--out", [config, *(path for path in images if path.is_file())])
    listing = scan_images(images, recursive=True, slices=True)
    plan = read_plan(config, listing.refs, model=model, device=device)
    if plan.by_hand:
        _console.warn(
            f"{_console.counted(plan.by_hand, 'mask')} had been corrected or painted by hand; "
            "what is written is that of the model alone"
        )
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Segmenting") as on_progress,
    ):
        reports = repeat_masks(plan, out, on_progress=on_progress, should_stop=should_stop)
    failures = [(name, f"no picture {name!r} among those given") for name in plan.missing]
    failures += [failure for report in reports for failure in report.failures]
    left, written = sum(r.left for r in reports), sum(len(r.written) for r in reports)
    if left:
        _console.finish_stopped(
            f"Stopped with {_console.counted(left, 'picture')} left. Run the same command again "
            "for all of them.",
            failures,
        )
    _console.say(f"{_console.counted(written, 'mask')} written to {_console.escape_name(str(out))}")
    _console.finish(written, failures)
