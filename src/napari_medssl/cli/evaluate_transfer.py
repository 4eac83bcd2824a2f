"""`medssl evaluate transfer`: what weights of local discrimination are worth as a start."""

from __future__ import annotations

from napari_medssl.backend import evaluate_transfer as work
from napari_medssl.backend.transfer_config import EvaluateTransferConfig
from napari_medssl.backend.transfer_data import TABLE
from napari_medssl.backend.transfer_report import TransferReport, footnote, heads, rows
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_data_stays, check_output


@with_config(EvaluateTransferConfig)
def evaluate_transfer(config: EvaluateTransferConfig) -> None:
    """Compare segmentation from weights of local discrimination with that from random ones.

    Same network, schedule and crops; the labelled images are parts of the training images, each in
    the next; groups are never split. NAME.md, NAME.svg and finished runs lie beside NAME.json:
    after Ctrl+C or a kill the same command goes on.
    """
    for place in (config.out, *(config.out.with_suffix(end) for end in (".md", ".svg"))):
        check_output(place, "--out", [folder / TABLE for folder in config.data])
        for folder in config.data:
            check_data_stays(place, "--out", folder)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Comparing") as on_progress,
    ):
        report = work.evaluate_transfer(config, on_progress=on_progress, should_stop=should_stop)
    _print(report)
    _console.note(f"Report written to {config.out}")
    _console.finish(len(report.sets), report.failures)


def _print(report: TransferReport) -> None:
    from rich.table import Table

    table = Table(title="Segmentation by what it starts from", title_justify="left")
    for number, head in enumerate(heads()):
        table.add_column(head, justify="left" if number < 2 else "right", no_wrap=True)
    former = ""
    for row in rows(report.sets):
        if row[0] != former:
            table.add_section()
            former = row[0]
        table.add_row(*row)
    _console.say_table(table)
    _console.say(footnote(report))
