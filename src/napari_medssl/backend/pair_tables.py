"""Tables beside images and masks: which belong together, and what class numbers are called."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line

MOST_CLASSES = 31
"""Largest class number: with the rest a model has 32 classes."""

_MOST_BYTES = 64 * 2**20


def read_names(table: Path) -> dict[int, str]:
    """Return the names of class numbers that a table (class,name) gives; none if it is missing.

    Raises
    ------
    UserError
        If it cannot be read, has other columns, or gives a number that is no class.
    """
    if not table.is_file():
        return {}
    names = {}
    for line, row in enumerate(read_table(table, ("class", "name")), start=2):
        text, name = row["class"], row["name"]
        if not (text.isdecimal() and len(text) < 10 and name):
            raise UserError(
                f"{str(table)!r}, line {line}: class {text!r} is called {name!r}; due are a number "
                "of the masks and a name."
            )
        names[int(text)] = name
    names.pop(0, None)  # the rest
    return names


def read_table(table: Path, due: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of `read_rows`; `UserError` if one of the columns `due` is missing."""
    columns, rows = read_rows(table)
    if not set(due) <= set(columns):
        raise UserError(
            f"{str(table)!r} has the columns {', '.join(columns) or 'none'}; due are "
            f"{' and '.join(due)}."
        )
    return rows


def read_rows(table: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Return the columns of a CSV file and its rows, without white space around what is in them.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    try:
        if table.stat().st_size > _MOST_BYTES:
            raise UserError(f"{str(table)!r} is too large to be a table of images.")
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or ()
            return columns, [{key: (row[key] or "").strip() for key in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{str(table)!r} cannot be read: {one_line(error)}.") from None
