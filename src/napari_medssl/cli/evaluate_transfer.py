"""`medssl evaluate transfer`: what weights are worth as a start, where labels are few."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_medssl.backend import evaluate_class_transfer as class_work
from napari_medssl.backend import evaluate_transfer as work
from napari_medssl.backend.class_transfer_data import GROUPS
from napari_medssl.backend.class_transfer_report import HEADS
from napari_medssl.backend.segmentation_data import TABLE
from napari_medssl.backend.transfer_report import footnote, heads, rows
from napari_medssl.backend.transfer_task import (
    CLASSIFICATION,
    TransferOptions,
    classification_config,
    segmentation_config,
)
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_data_stays, check_output


@with_config(TransferOptions)
def evaluate_transfer(config: TransferOptions) -> None:
    """Compare training from pre-trained weights with that from random ones, with few labels.

    Segmentation from weights of local discrimination; with --task classification, linear probe and
    fine-tuning from random, ImageNet's and given weights. All starts have the same network,
    schedule and pictures; the labelled ones are parts of the training images, each in the next;
    groups are never split. NAME.md, NAME.svg and finished runs lie beside NAME.json: after Ctrl+C
    or a kill the same command goes on.
    """
    is_classes = config.task == CLASSIFICATION
    for place in (config.out, *(config.out.with_suffix(end) for end in (".md", ".svg"))):
        tables = [folder / (GROUPS if is_classes else TABLE) for folder in config.data]
        check_output(place, "--out", tables)
        for folder in config.data:
            check_data_stays(place, "--out", folder)
    if is_classes:
        _compare_classes(config)
    else:
        _compare_masks(config)


def _compare_masks(options: TransferOptions) -> None:
    config = segmentation_config(options)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Comparing") as on_progress,
    ):
        report = work.evaluate_transfer(config, on_progress=on_progress, should_stop=should_stop)
    _print("Segmentation by what it starts from", heads(), rows(report.sets), 2)
    _console.say(footnote(report))
    _finish(config.out, len(report.sets), report.failures)


def _compare_classes(options: TransferOptions) -> None:
    config = classification_config(options)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Comparing") as on_progress,
    ):
        report = class_work.evaluate_class_transfer(
            config, on_progress=on_progress, should_stop=should_stop
        )
    _print("Classification by what it starts from", report.heads(), report.rows(), len(HEADS))
    _console.say(report.footnote())
    _finish(config.out, len(report.sets), report.failures)


def _print(title: str, names: Sequence[str], lines: Sequence[Sequence[str]], left: int) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, head in enumerate(names):
        table.add_column(head, justify="left" if number < left else "right", no_wrap=True)
    former = ""
    for row in lines:
        if row[0] != former:
            table.add_section()
            former = row[0]
        table.add_row(*row)
    _console.say_table(table)


def _finish(out: Path, sets: int, failures: Sequence[tuple[str, str]]) -> None:
    _console.note(f"Report written to {out}")
    _console.finish(sets, tuple(failures))
