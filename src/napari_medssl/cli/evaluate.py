"""`medssl evaluate ...`: score a method on data whose truth is known."""

from __future__ import annotations

import typer

from napari_medssl.cli import new_app
from napari_medssl.cli.evaluate_action import evaluate_action
from napari_medssl.cli.evaluate_augmentation import evaluate_augmentation
from napari_medssl.cli.evaluate_batch import evaluate_batch
from napari_medssl.cli.evaluate_clusters import evaluate_clusters
from napari_medssl.cli.evaluate_figures import evaluate_figures
from napari_medssl.cli.evaluate_landmarks import evaluate_landmarks
from napari_medssl.cli.evaluate_retrieval import evaluate_retrieval
from napari_medssl.cli.evaluate_segmentation import evaluate_segmentation
from napari_medssl.cli.evaluate_transfer import evaluate_transfer


def register(app: typer.Typer) -> None:
    """Add `evaluate` with its sub-verbs to the command line."""
    verbs = new_app(
        name="evaluate",
        help="Score a method on data whose truth is known.",
        epilog="Example: medssl evaluate figures --data figures",
    )
    verbs.command(
        "figures", epilog="Example: medssl evaluate figures --data figures --out report.json"
    )(evaluate_figures)
    verbs.command(
        "retrieval",
        epilog="Example: medssl evaluate retrieval --data tiles --encoder imagenet --out r.json",
    )(evaluate_retrieval)
    verbs.command(
        "landmarks", epilog="Example: medssl evaluate landmarks --data landmarks --out report.json"
    )(evaluate_landmarks)
    verbs.command(
        "segmentation",
        epilog="Example: medssl evaluate segmentation --data eyes --model retina-vessels",
    )(evaluate_segmentation)
    verbs.command(
        "transfer", epilog="Example: medssl evaluate transfer --data eyes --out table.json"
    )(evaluate_transfer)
    verbs.command("clusters", epilog="Example: medssl evaluate clusters --data cells --data tiles")(
        evaluate_clusters
    )
    verbs.command(
        "batch",
        epilog="Example: medssl evaluate batch --data tiles.parquet --groups slides.csv",
    )(evaluate_batch)
    verbs.command(
        "action",
        epilog="Example: medssl evaluate action --data cells --out table.json --seeds 1",
    )(evaluate_action)
    verbs.command(
        "augmentation", epilog="Example: medssl evaluate augmentation --data cells --data tiles"
    )(evaluate_augmentation)
    app.add_typer(verbs)
