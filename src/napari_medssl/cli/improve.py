"""`medssl improve ...`: learn from the figures that a person has corrected, and go back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_medssl._errors import UserError
from napari_medssl.backend.improve_config import ImproveConfig
from napari_medssl.cli import _console, new_app
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_data_stays, check_output

if TYPE_CHECKING:
    from napari_medssl.backend.improve_check import ImproveReport

_Project = Annotated[Path, typer.Option(help="Project folder, NAME.medssl.", metavar="DIR")]


def register(app: typer.Typer) -> None:
    """Add `improve` with its sub-verbs to the command line."""
    verbs = new_app(
        name="improve",
        help="Learn from corrected figures; go back to a former model.",
        epilog="Example: medssl improve figures --project figures.medssl",
    )
    verbs.command(
        "figures", epilog="Example: medssl improve figures --project figures.medssl --use"
    )(improve_figures)
    verbs.command(
        "use", epilog="Example: medssl improve use --project figures.medssl --model mine"
    )(use)
    verbs.command("revert", epilog="Example: medssl improve revert --project figures.medssl")(
        revert
    )
    app.add_typer(verbs)


@with_config(ImproveConfig)
def improve_figures(
    config: ImproveConfig,
    use: Annotated[
        bool, typer.Option("--use", help="Let the project use the new model if it is better.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the whole report here as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Fine-tune the panel detector on the accepted figures, and compare before and after.

    The former model stays. Ctrl+C keeps a checkpoint; --resume goes on from it.
    """
    from napari_medssl.backend.improve import improve
    from napari_medssl.backend.improve_config import check_improvable
    from napari_medssl.backend.training import run_in_child
    from napari_medssl.io.files import check_writable, write_whole

    if use and not (config.project / "project.json").is_file():
        raise UserError(f"--use is for projects, and {str(config.project)!r} is none.")
    check_improvable(config)
    if report is not None:
        check_output(report, "--report", [config.project / "annotations.json"])
        check_data_stays(report, "--report", config.project / "images")
        check_writable(report)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Improving") as on_progress,
    ):
        result: ImproveReport = run_in_child(
            improve, config, on_progress=on_progress, should_stop=should_stop
        )
    _print_report(result)
    if report is not None:
        write_whole(report, result.to_json())
    if use and result.is_better:
        _use(config.project, result.model)
    _console.note(f"Model {result.model!r} written to {result.path}")
    _console.finish(len(result.used), result.skipped)


def use(
    project: _Project,
    model: Annotated[str, typer.Option(help="A registered model or a .safetensors file.")],
) -> None:
    """Let a project use another model from now on."""
    from napari_medssl.backend.models import find_weights

    find_weights(model)
    _use(project, model)


def revert(project: _Project) -> None:
    """Let a project use the model that it used before; no model is deleted."""
    from napari_medssl.state.project import Project

    with Project.open(project) as opened:
        former = opened.model
        name = opened.revert_model()
    _console.say(f"{project} uses {name or 'the shipped model'} again, no more {former}")


def _use(folder: Path, model: str) -> None:
    from napari_medssl.state.project import Project

    with Project.open(folder) as project:
        project.use_model(model)
    _console.say(f"{folder} uses {model} from now on")


def _print_report(report: ImproveReport) -> None:
    from rich.table import Table

    table = Table(title=f"{report.start} before, {report.model} after", title_justify="left")
    table.add_column("figures", no_wrap=True)
    for head in ("number", "boxes", "F1@.5 before", "after", "F1@.75 before", "after"):
        table.add_column(head, justify="right")
    seen = "held out" if report.held_out else "seen in training"
    for row, name in ((report.at_hand, f"yours, {seen}"), (report.simulated, "simulated")):
        scores = (row.before_50, row.after_50, row.before_75, row.after_75)
        cells = [f"{score:.3f}" for score in scores]
        table.add_row(name, str(row.figures), str(row.boxes), *cells)
    _console.say_table(table)
    for number, names in enumerate(report.held_out, start=1):
        shown = ", ".join(_console.escape_name(name) for name in names)
        _console.say(f"Held out in check {number}: {shown}")
    _console.say(f"Least score of a box in the new model: {report.score:.2f}.")
    _console.say(report.advice)
