"""`medssl evaluate landmarks`: how well landmarks of a template are found in other images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend import evaluate_landmarks as work
from napari_medssl.backend.landmark_scores import LandmarksReport, report_heads, report_rows
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._scoring import score


@with_config(work.EvaluateLandmarksConfig)
def evaluate_landmarks(
    config: work.EvaluateLandmarksConfig,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the report here, .json, or its table, .md.", metavar="FILE"),
    ] = None,
) -> None:
    """Score one-shot landmarks: MRE, and SDR within 3, 5 and 10 % of the width.

    Each template is asked for its landmarks in all other images; medians over templates are told,
    for each landmark and overall. One that was said not to be in an image that shows it is a miss.
    """
    is_table = out is not None and out.suffix.lower() == ".md"
    report = score(
        partial(work.evaluate_landmarks, config),
        "Locating",
        out,
        data=config.data,
        inputs=[config.data / work.TABLE],
        to_text=LandmarksReport.to_markdown if is_table else LandmarksReport.to_json,
    )
    _print(report)
    _console.finish(report.images, report.failures)


def _print(report: LandmarksReport) -> None:
    from rich.table import Table

    table = Table(title="One-shot landmarks", title_justify="left")
    for number, head in enumerate(report_heads(report)):
        table.add_column(head, justify="left" if number < 2 else "right", no_wrap=True)
    for number, row in enumerate(report_rows(report)):
        if row[0] and number:
            table.add_section()
        table.add_row(*row)
    _console.say_table(table)
    templates = _console.counted(len(report.templates), "template")
    _console.say(
        f"Median of {templates} in {_console.counted(report.images, 'image')}: "
        f"{', '.join(report.templates)}. MRE is of landmarks that were given a place; SDR counts "
        "the others as missed."
    )
    if report.scaled:
        scaled = _console.counted(report.scaled, "image")
        _console.say(f"In mm: over {scaled} of known scale.")
    for method in report.methods:
        absent = "" if method.absent_told is None else f", absent told {method.absent_told:.2f}"
        seconds = "" if method.seconds is None else f"{method.seconds * 1000:.0f} ms per image"
        _console.say(f"{method.name}: {seconds}{absent}.")
