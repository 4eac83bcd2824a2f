"""`medssl evaluate segmentation`: score segmentations of images whose truth is known."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend import evaluate_segmentation as work
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._scoring import score


@with_config(work.EvaluateSegmentationConfig)
def evaluate_segmentation(
    config: work.EvaluateSegmentationConfig,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole report here as JSON.", metavar="FILE")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="Also print each image.")] = False,
) -> None:
    """Score segmentation: the Dice coefficient (DSC) of each image, its mean and deviation.

    Where truth and segmentation are both empty it is 1, where only one of them is, 0.
    """
    from napari_medssl.backend.segmentation_data import TABLE

    report = score(
        partial(work.evaluate_segmentation, config),
        "Segmenting",
        out,
        data=config.data,
        inputs=[config.data / TABLE],
    )
    _print(report)
    if images:
        _print_images(report)
    _console.finish(len(report.images), report.failures)


def _print(report: work.SegmentationReport) -> None:
    from rich.table import Table

    title = f"Segmentation of {_console.counted(len(report.images), 'image')} of {report.data}"
    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    table.add_column("class", no_wrap=True)
    for head in ("DSC", "std", "least", "most"):
        table.add_column(head, justify="right")
    table.add_column("has seen of the truth")
    for method in report.methods:
        for one in method.classes:
            figures = (one.mean, one.std, min(one.dice), max(one.dice))
            cells = (f"{figure:.3f}" for figure in figures)
            table.add_row(method.name, one.name, *cells, method.labels_seen or "nothing")
    _console.say_table(table)


def _print_images(report: work.SegmentationReport) -> None:
    from rich.table import Table

    table = Table(title="DSC of each image", title_justify="left")
    table.add_column("image", no_wrap=True)
    table.add_column("group", no_wrap=True)
    columns = [(method.name, one) for method in report.methods for one in method.classes]
    for name, one in columns:
        table.add_column(f"{name}: {one.name}", justify="right")
    for number, (image, group) in enumerate(zip(report.images, report.groups, strict=True)):
        figures = (f"{one.dice[number]:.3f}" for _, one in columns)
        table.add_row(_console.escape_name(image), _console.escape_name(group), *figures)
    _console.say_table(table)
