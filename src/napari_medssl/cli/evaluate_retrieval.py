"""`medssl evaluate retrieval`: how well tiles of a class find each other across slides."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend import evaluate_retrieval as work
from napari_medssl.backend.retrieval_report import RetrievalReport
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._scoring import score

_PLACES = ("precision_1", "precision_5", "precision_10", "hit_5", "hit_10")


@with_config(work.EvaluateRetrievalConfig)
def evaluate_retrieval(
    config: work.EvaluateRetrievalConfig,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole report here as JSON.", metavar="FILE")
    ] = None,
    classes: Annotated[
        bool, typer.Option("--classes", help="Also print each class, such as tumour.")
    ] = False,
) -> None:
    """Score tile retrieval: each tile asks for tiles of its class on other slides.

    mAP@10, hits and precision at 1, 5 and 10 (macro by class), the same with the queries in another
    stain, mAP@10 macro by slide, and global ADDR; beside them what a random order scores.
    """
    from napari_medssl.backend.labelled_tiles import TABLE

    report = score(
        partial(work.evaluate_retrieval, config),
        "Embedding",
        out,
        data=config.data,
        inputs=[config.data / TABLE],
    )
    _print_retrieval(report)
    if classes:
        _print_classes(report)
    _console.finish(len(report.encoders), report.failures)


def _print_retrieval(report: RetrievalReport) -> None:
    from rich.table import Table

    table = Table(title="Tile retrieval across slides", title_justify="left")
    table.add_column("encoder", no_wrap=True)
    table.add_column("set", no_wrap=True)
    for head in ("mAP@10", "stained", "by slide"):
        table.add_column(head, justify="right")
    for head in ("P@1", "P@5", "P@10", "hit@5", "hit@10", "ADDR"):
        table.add_column(head, justify="right")
    for scores in report.encoders:
        name = f"{scores.encoder['name']} {scores.encoder['dim']}"
        for one in scores.sets:
            others = (one.jittered.get("map_10"), one.by_slide["map_10"], one.addr)
            table.add_row(*_retrieval_cells(name, one.name, one.by_class, others))
        others = (scores.mean_jittered.get("map_10"), None, None)
        table.add_row(*_retrieval_cells(name, "mean of sets", scores.mean, others))
        table.add_section()
    chance = report.encoders[0]
    for one in chance.sets:
        table.add_row(*_retrieval_cells("chance", one.name, one.chance, (None, None, 1.0)))
    none = (None, None, None)
    table.add_row(*_retrieval_cells("chance", "mean of sets", chance.mean_chance, none))
    _console.say_table(table)
    _print_tightness(report)
    _console.say(
        "Macro means over classes; stained: mAP@10 with the queries in another stain; by slide: "
        f"mAP@10 as a macro mean over slides; ADDR: {report.addr_normalisation}."
    )


def _print_classes(report: RetrievalReport) -> None:
    """Print the scores of each class, what a random order scores in brackets."""
    from rich.table import Table

    table = Table(title="Retrieval of each class (chance)", title_justify="left")
    for head in ("encoder", "set", "class"):
        table.add_column(head, no_wrap=True)
    for head in ("queries", "mAP@10", "P@1", "P@5", "P@10", "hit@5", "hit@10"):
        table.add_column(head, justify="right")
    for scores in report.encoders:
        for one in scores.sets:
            for label, own in one.each_class.items():
                cells = (
                    f"{_share(own[place])} ({_share(own['chance_' + place])})"
                    for place in ("map_10", *_PLACES)
                )
                name, queries = str(scores.encoder["name"]), str(own["queries"])
                table.add_row(name, one.name, label, queries, *cells)
    _console.say_table(table)


def _print_tightness(report: RetrievalReport) -> None:
    """Print how tight classes lie on the map, where that was asked for."""
    from rich.table import Table

    table = Table(title="Tightness on a UMAP (1: no closer than all tiles)", title_justify="left")
    for head in ("encoder", "set", "class"):
        table.add_column(head, no_wrap=True)
    table.add_column("tightness", justify="right")
    for scores in report.encoders:
        for one in scores.sets:
            for label, value in one.map_tightness.items():
                shown = "-" if value is None else f"{value:.2f}"
                table.add_row(str(scores.encoder["name"]), one.name, label, shown)
    if table.row_count:
        _console.say_table(table)


def _retrieval_cells(
    encoder: str,
    name: str,
    scores: Mapping[str, float | None],
    others: tuple[float | None, float | None, float | None],
) -> list[str]:
    """Return a row; `others` are mAP@10 stained and by slide, and ADDR."""
    stained, by_slide, addr = others
    values = [scores["map_10"], stained, by_slide, *(scores[place] for place in _PLACES), addr]
    return [encoder, name, *map(_share, values)]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
