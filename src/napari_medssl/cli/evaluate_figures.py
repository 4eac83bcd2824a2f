"""`medssl evaluate figures`: how well figures are separated."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend import evaluate_figures as work
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._scoring import score

_HEADS = ("figures", "boxes", "P@.5", "R@.5", "F1@.5", "F1@.75", "AP50", "AP50:95")
_MORE_HEADS = ("ImageCLEF", "mean F1", "split singles")


@with_config(work.EvaluateFiguresConfig)
def evaluate_figures(
    config: work.EvaluateFiguresConfig,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole report here as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Score figure separation: F1, COCO AP, ImageCLEF accuracy, per source, and time per figure.

    F1 is scored on the boxes that `medssl separate` writes, AP on all boxes above score 0.01.
    """
    report = score(
        partial(work.evaluate_figures, config),
        "Separating",
        out,
        data=config.data / "images",
        inputs=[config.data / "annotations.json"],
    )
    _print_report(report)
    _console.finish(len(report.figures), report.failures)


def _print_report(report: work.FiguresReport) -> None:
    from rich.table import Table

    table = Table(title=f"Figure separation: {report.model}", title_justify="left")
    table.add_column("group", no_wrap=True)
    for head in (*_HEADS, *_MORE_HEADS):
        table.add_column(head, justify="right")
    kind = "all"
    for group in report.groups:
        if group.kind != kind:
            table.add_section()
            kind = group.kind
        table.add_row(*_cells(group))
    _console.say_table(table)
    figures = _console.counted(len(report.figures), "figure")
    _console.say(
        f"Time per figure: median {report.seconds_median * 1000:.0f} ms, "
        f"95th percentile {report.seconds_p95 * 1000:.0f} ms, {figures}."
    )


def _cells(group: work.GroupScores) -> list[str]:
    name = group.name if group.kind in ("all", "kind") else f"{group.kind}: {group.name}"
    shares = (
        group.precision_50,
        group.recall_50,
        group.f1_50,
        group.f1_75,
        group.ap_50,
        group.ap_50_95,
        group.imageclef_accuracy,
        group.mean_figure_f1_50,
    )
    texts = ["-" if share is None else f"{share:.3f}" for share in shares]
    return [name, str(group.figures), str(group.boxes), *texts, str(group.split_singles)]
