"""Write tables that people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_medssl.io.files import replace_whole, write_whole

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
FORMULA = r"([=+\-@\t\r])"
"""What begins a formula, as a pattern."""


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


def write_table_csv(out: Path, columns: Mapping[str, Any]) -> None:
    """Write Arrow arrays by column name as CSV, as `write_csv` does; names of columns too."""
    import pyarrow as arrow
    from pyarrow import compute, csv

    made = {
        _plain(name): compute.replace_substring_regex(column, f"^{FORMULA}", r"'\1")
        if arrow.types.is_string(column.type)
        else column
        for name, column in columns.items()
    }
    with replace_whole(out) as temporary:
        csv.write_csv(arrow.table(made), temporary)


def bare_text(text: str) -> str:
    """Return a text as it was before `write_csv` put an apostrophe before a formula."""
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULAS else text


def _plain(text: str) -> str:
    return f"'{text}" if text[:1] in _FORMULAS else text
