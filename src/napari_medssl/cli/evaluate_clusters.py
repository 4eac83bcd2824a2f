"""`medssl evaluate clusters`: how well clusters fit classes that they have not seen."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medssl.backend import evaluate_clusters as work
from napari_medssl.backend.clusters_report import ClusterSet, ClustersReport
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._scoring import score


@with_config(work.EvaluateClustersConfig)
def evaluate_clusters(
    config: work.EvaluateClustersConfig,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole report here as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Score clusters of pictures by classes, the names of their folders, used only for scoring.

    With as many clusters as classes: accuracy of the best one-to-one map (ACC), NMI, ARI and
    silhouette; with K by the elbow: purity; and what labels would find in the same embeddings:
    five nearest neighbours, logistic regression; error is what cannot be decoded again, a part of
    the pixels' variance. Beside: pixels, their PCA, and a network that is told the classes.
    """
    first = config.data[0] if config.data else Path()
    report = score(
        partial(work.evaluate_clusters, config), "Clustering", out, data=first, inputs=config.data
    )
    _print(report)
    _console.finish(sum(each.images for each in report.sets), report.failures)


def _print(report: ClustersReport) -> None:
    from rich.table import Table

    for one in report.sets:
        title = f"{one.name}: {one.images} pictures of {len(one.classes)} classes"
        table = Table(title=title, title_justify="left")
        table.add_column("embeddings", no_wrap=True)
        for head in (
            "ACC",
            "NMI",
            "ARI",
            "silhouette",
            "purity",
            "at K",
            "5-NN",
            "linear",
            "error",
        ):
            table.add_column(head, justify="right")
        for row in one.rows:
            cells = [row.accuracy, row.mutual_information, row.adjusted_rand, row.silhouette]
            table.add_row(
                row.method,
                *map(_share, [*cells, row.purity]),
                str(row.chosen),
                *map(_share, (row.neighbours, row.probe, row.error)),
            )
        table.add_row("commonest class", _share(one.majority))
        if one.supervised is not None:
            table.add_row("supervised, held out", _share(one.supervised))
        _console.say_table(table)
        if one.pairs:
            _console.say_table(_pairs(one))
    if len(report.sets) > 1:
        table = Table(title=f"Mean of {len(report.sets)} sets", title_justify="left")
        table.add_column("embeddings", no_wrap=True)
        for head in ("ACC", "NMI"):
            table.add_column(head, justify="right")
        for method, accuracy, information in report.means():
            table.add_row(method, _share(accuracy), _share(information))
        _console.say_table(table)


def _pairs(one: ClusterSet) -> Any:
    from rich.table import Table

    table = Table(title=f"{one.name}: two classes as one", title_justify="left")
    for head in ("classes", "pictures", "ACC", "NMI", "larger"):
        table.add_column(head, justify="left" if head == "classes" else "right")
    for pair in sorted(one.pairs, key=attrgetter("accuracy"), reverse=True):
        cells = (pair.accuracy, pair.mutual_information, pair.majority)
        table.add_row(" + ".join(pair.classes), str(pair.images), *map(_share, cells))
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
