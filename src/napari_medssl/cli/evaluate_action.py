"""`medssl evaluate action`: which way of learning from few masks is best."""

from __future__ import annotations

from napari_medssl.backend import evaluate_action as work
from napari_medssl.backend.action_comparison import ComparisonReport
from napari_medssl.backend.action_comparison_config import EvaluateActionConfig
from napari_medssl.backend.segmentation_data import TABLE
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_data_stays, check_output


@with_config(EvaluateActionConfig)
def evaluate_action(config: EvaluateActionConfig) -> None:
    """Compare recipes of segmentation with few masks: masks alone, mean teacher, ACTION and others.

    All recipes have the same network, weights to begin with, steps and labelled images; groups are
    never split. NAME.md and finished runs lie beside NAME.json: after Ctrl+C or a kill the same
    command goes on.
    """
    for place in (config.out, config.out.with_suffix(".md")):
        check_output(place, "--out", [folder / TABLE for folder in config.data])
        for folder in config.data:
            check_data_stays(place, "--out", folder)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Comparing") as on_progress,
    ):
        report = work.evaluate_action(config, on_progress=on_progress, should_stop=should_stop)
    _print(report)
    _console.note(f"Report written to {config.out}")
    _console.finish(len(report.sets), report.failures)


def _print(report: ComparisonReport) -> None:
    from rich.table import Table

    table = Table(title="DSC by recipe", title_justify="left")
    for number, head in enumerate(("set", "class", "labelled", "%", *report.settings["recipes"])):
        table.add_column(head, justify="left" if number < 2 else "right", no_wrap=True)
    former = ""
    for row in report.rows("dsc"):
        if row[0] != former:
            table.add_section()
            former = row[0]
        table.add_row(*row)
    _console.say_table(table)
    _console.say(report.footnote())
