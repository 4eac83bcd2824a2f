"""Write tables that people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_medssl.io.files import write_whole

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(
    out: Path, header: Sequence[str], rows: Iterable[Sequence[str | int | float]]
) -> None:
    """Write a table as CSV, UTF-8, whole or not at all.

    Texts that a spreadsheet would take for a formula get an apostrophe: names of files may come
    from anywhere.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        writer.writerow([_plain(value) if isinstance(value, str) else value for value in row])
    write_whole(out, text.getvalue())


def _plain(text: str) -> str:
    return f"'{text}" if text[:1] in _FORMULAS else text
