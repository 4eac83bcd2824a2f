"""What the verbs of `medssl evaluate` share: where the report goes, Ctrl+C, and the bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from napari_medssl.cli import _console
from napari_medssl.cli._places import check_data_stays, check_output


class Report(Protocol):
    """What scoring gives."""

    def to_json(self) -> str:
        """Return all of it."""


_R = TypeVar("_R", bound=Report)


def score(
    evaluate: Callable[..., _R],
    doing: str,
    out: Path | None,
    *,
    data: Path,
    inputs: Sequence[Path] = (),
    to_text: Callable[[_R], str] | None = None,
) -> _R:
    """Return the report of `evaluate`, written to `out` if there is one.

    Parameters
    ----------
    evaluate
        Scores; it takes `on_progress` and `should_stop`.
    doing
        What the bar says, such as "Segmenting".
    out
        Where the report goes.
    data, inputs
        A folder whose files stay as they are, and files that `out` must not be.
    to_text
        What is written, by default the JSON text.

    Raises
    ------
    UserError
        If `out` is an input, or cannot be written.
    """
    from napari_medssl.io.files import check_writable, write_whole

    if out is not None:
        check_output(out, "--out", inputs)
        check_data_stays(out, "--out", data)
        check_writable(out)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar(doing) as on_progress,
    ):
        report = evaluate(on_progress=on_progress, should_stop=should_stop)
        if out is not None:  # in here, where Ctrl+C does not cut it off
            write_whole(out, to_text(report) if to_text else report.to_json())
    return report
