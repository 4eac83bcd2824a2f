"""`medssl evaluate augmentation`: whether samples of an autoencoder help a classifier."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl.backend import evaluate_augmentation as work
from napari_medssl.backend.augmentation_config import EvaluateAugmentationConfig
from napari_medssl.backend.augmentation_report import HEADS
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._scoring import score


@with_config(EvaluateAugmentationConfig)
def evaluate_augmentation(
    config: EvaluateAugmentationConfig,
    out: Annotated[
        Path | None, typer.Option(help="Write the whole report here as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Score classifiers that learn from few pictures, and from what is made of these.

    An autoencoder learns the training pictures without labels. Of a few labelled ones of each class
    are made: views (mirrored, turned, cropped), samples (decoded from a Gaussian of their
    embeddings), paths (decoded from between two). Linear probe, fine-tuned encoder, and the same
    network from nothing; a third of the pictures is tested on.
    """
    first = config.data[0] if config.data else Path()
    report = score(
        partial(work.evaluate_augmentation, config),
        "Augmenting",
        out,
        data=first,
        inputs=config.data,
    )
    _console.say_table(_table(report.heads(), report.rows()))
    _console.say(report.footnote())
    _console.finish(len(report.sets), report.failures)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> object:
    from rich.table import Table

    table = Table(title="Few labels, and what is made of them", title_justify="left")
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number < len(HEADS) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
