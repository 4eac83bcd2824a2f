"""`medssl evaluate batch`: how far embeddings tell the slide or scanner."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend import evaluate_batch as work
from napari_medssl.backend.map_batch import BatchEffect
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._scoring import score


@with_config(work.EvaluateBatchConfig)
def evaluate_batch(
    config: work.EvaluateBatchConfig,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole report here as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Score how far embeddings tell where a picture comes from: its slide, scanner or site.

    A linear probe is fitted to four fifths of the rows and asked for the rest; beside it, how many
    of a row's 15 neighbours are of its own group. Both stand beside what chance gives.
    """
    report = score(
        partial(work.evaluate_batch, config),
        "Comparing",
        out,
        data=config.data,
        inputs=[config.data, config.groups],
    )
    _print(report)


def _print(report: BatchEffect) -> None:
    from rich.table import Table

    count = _console.counted(len(report.groups), "group")
    title = f"{_console.counted(report.rows, 'row')} of {count}"
    table = Table(title=title, title_justify="left")
    table.add_column("told", no_wrap=True)
    table.add_column("found", justify="right")
    table.add_column("by chance", justify="right")
    table.add_row("linear probe, mean recall", f"{report.accuracy:.3f}", f"{report.chance:.3f}")
    same, by_chance = f"{report.same_neighbours:.3f}", f"{report.same_by_chance:.3f}"
    table.add_row("neighbours of the same group", same, by_chance)
    _console.say_table(table)
    if report.left_out:
        names = ", ".join(map(_console.escape_name, report.left_out[:10]))
        _console.note(f"Left out, with too few rows: {names}.")
