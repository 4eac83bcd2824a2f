"""`medssl evaluate segmentation`: score segmentations of images whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medssl.backend import evaluate_segmentation as work
from napari_medssl.backend.segmentation_report import SegmentationReport
from napari_medssl.backend.segmentation_scores import ClassScores, Figure, MethodScores
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._scoring import score

_MEAN = "mean of classes"
_UNITS = {"mm": "mm", "pixels": "px"}


@with_config(work.EvaluateSegmentationConfig)
def evaluate_segmentation(
    config: work.EvaluateSegmentationConfig,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole report here as JSON.", metavar="FILE")
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="Also print each image or volume.")
    ] = False,
) -> None:
    """Score segmentation: Dice coefficient (DSC) and surface distances (ASD, HD95) of each class.

    Each image is scored, or each volume: a file of one (NIfTI, TIFF stack, zarr), or the slices of
    one in pairs.csv (column volume). Distances are in mm if the size of a pixel is known of all of
    them, by spacing_mm in pairs.csv or by the file, else in pixels. Where truth and segmentation
    are both empty there is nothing to score; where one of them is, the DSC is 0; what is missed
    has the diagonal as its distance.
    """
    from napari_medssl.backend.segmentation_data import TABLE

    report = score(
        partial(work.evaluate_segmentation, config),
        "Segmenting",
        out,
        data=config.data,
        inputs=[config.data / TABLE],
    )
    _print_dice(report)
    if report.has_distances():
        _print_distances(report)
    for line in _notes(report):
        _console.say(line)
    for line in report.warnings:
        _console.warn(line)
    if images:
        _print_cases(report, "dsc")
        if report.has_distances():
            _print_cases(report, "asd")
    _console.finish(len(report.cases), report.failures)


def _print_dice(report: SegmentationReport) -> None:
    cases = _console.counted(len(report.cases), report.kind)
    heads = ("DSC", "std", "least", "most", f"{report.kind}s")
    table = _table(f"Segmentation of {cases} of {report.data}", heads)
    table.add_column("has seen of the truth")
    for method, name, one in _lines(report):
        if one:
            dsc = one.spread("dsc")
            figures = [_figure(value) for value in (dsc.mean, dsc.std, dsc.least, dsc.most)]
            figures.append(str(dsc.count))
        else:
            figures = [_figure(method.mean), *[""] * 4]
        table.add_row(method.name, name, *figures, method.labels_seen or "nothing")
    _console.say_table(table)


def _print_distances(report: SegmentationReport) -> None:
    unit = _UNITS[report.unit]
    heads = (f"ASD ({unit})", "std", f"HD95 ({unit})", "std", f"{report.kind}s")
    table = _table(f"Distances of surfaces in {report.unit}", (*heads, "missed", "invented"))
    for method, name, one in _lines(report):
        if one:
            asd, hd95 = one.spread("asd"), one.spread("hd95")
            figures = [_figure(value) for value in (asd.mean, asd.std, hd95.mean, hd95.std)]
            figures += map(str, (asd.count, one.count("missed"), one.count("invented")))
        else:
            means = (method.over_classes("asd").mean, method.over_classes("hd95").mean)
            figures = [_figure(means[0]), "", _figure(means[1])]
        table.add_row(method.name, name, *figures)
    _console.say_table(table)


def _lines(
    report: SegmentationReport,
) -> Iterator[tuple[MethodScores, str, ClassScores | None]]:
    """Give the lines of a table: each class, the rarest marked, then their mean."""
    for method in report.methods:
        for place, one in enumerate(method.classes):
            name = _console.escape_name(one.name)
            yield method, f"{name} (rarest)" if place == report.rare else name, one
        if len(method.classes) > 1:
            yield method, _MEAN, None


def _notes(report: SegmentationReport) -> Iterator[str]:
    """Say what the figures hold that a reader would not expect."""
    scores = [one for method in report.methods for one in method.classes]
    if any(one.count("missed") for one in scores) and report.has_distances():
        yield (
            f"Missed: nothing is found of a class that is there. Its distance counts as the "
            f"{report.kind}'s diagonal."
        )
    if any(one.count("invented") for one in scores):
        yield "Invented: a class is found that is not there. Its DSC is 0, it has no distance."
    if any(one.count("absent") for one in scores):
        yield f"Of each class, {report.kind}s without it, in which none is found, are left out."
    yield from report.remarks


def _print_cases(report: SegmentationReport, figure: Figure) -> None:
    columns = [(method.name, one) for method in report.methods for one in method.classes]
    unit = "" if figure == "dsc" else f" in {report.unit}"
    table = _table(
        f"{figure.upper()} of each {report.kind}{unit}",
        [f"{name}: {one.name}" for name, one in columns],
        left=(report.kind, "group"),
    )
    for number, (case, group) in enumerate(zip(report.cases, report.groups, strict=True)):
        figures = (_figure(one.each(figure)[number]) for _, one in columns)
        table.add_row(_console.escape_name(case), _console.escape_name(group), *figures)
    _console.say_table(table)


def _table(title: str, heads: Sequence[str], left: Sequence[str] = ("method", "class")) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for head in left:
        table.add_column(head, no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right")
    return table


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
