"""`medssl doctor`: what is wrong with this installation, and the fix for each fault."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from napari_medssl.backend.doctor import examine
from napari_medssl.cli._console import ALL_DONE, SOME_FAILED, one_line, say, say_json

_MARKS = {"ok": "ok     ", "warning": "warning", "fault": "FAULT  "}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("doctor", epilog="Example: medssl doctor --json > doctor.json")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check this installation: versions, device, display, OpenSlide, weights, cache folder.

    Exit code 0 when nothing is wrong, 1 when there is a fault.
    """
    checks = examine()
    faults = sum(check.state == "fault" for check in checks)
    if as_json:
        say_json({"faults": faults, "checks": [asdict(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            say(f"{_MARKS[check.state]}  {check.name:<{width}}  {one_line(check.found)}")
            if check.fix and check.state != "ok":
                say(f"{'':7}  {'':<{width}}  fix: {check.fix}")
        say(
            "Nothing is wrong."
            if not faults
            else f"{faults} {'fault' if faults == 1 else 'faults'}: see above for the fix."
        )
    raise typer.Exit(SOME_FAILED if faults else ALL_DONE)
