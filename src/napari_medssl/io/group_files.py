"""Groups of pictures as tables: CSV or Parquet with image, group, x, y and further columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.csv_files import write_table_csv
from napari_medssl.io.files import replace_whole, write_whole
from napari_medssl.io.name_table import read_name_table
from napari_medssl.io.table_columns import Column, column_texts, text_column, to_arrow, written_text

IMAGE, GROUP = "image", "group"
GROUP_COLUMNS = (GROUP, "class", "cluster", "label")
"""What the column of groups may be called, in this order."""

_NONE = ("", "none", "nan")


@dataclass(frozen=True, slots=True)
class GroupTable:
    """Groups of pictures, as a file names them.

    Attributes
    ----------
    names
        The pictures, N.
    groups
        Of each of them, "" for none.
    columns
        The other columns, by name.
    left_out
        Names of columns that hold neither numbers nor texts.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    columns: dict[str, Column]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MatchedRows:
    """Rows of a source that a table speaks of.

    Attributes
    ----------
    rows
        Numbers of the rows, int64, shape (M,).
    places
        Which row of the table each of them is, int64, shape (M,).
    unknown
        Names of the table that are no row's.
    """

    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    unknown: tuple[str, ...]


def check_table_name(out: Path) -> None:
    """Raise `UserError` unless a file can be a table of groups, by its name."""
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise UserError(
            f"{out.name!r} ends in {out.suffix or 'nothing'!r}. Give a name that ends in .csv or "
            ".parquet."
        )


def write_groups(
    out: Path,
    names: Sequence[str],
    groups: Sequence[str],
    *,
    places: NDArray[np.float32] | None = None,
    columns: Mapping[str, Column] | None = None,
) -> None:
    """Write groups as CSV or Parquet, by the name of the file; whole or not at all.

    Texts that a spreadsheet would take for formulas get an apostrophe in CSV, which `read_groups`
    takes off. Columns of a name that is taken are called `source_x` and so on.

    Parameters
    ----------
    out
        A file .csv or .parquet.
    names, groups
        Of each row, N; "" for no group.
    places
        On the map, shape (N, 2): columns x and y.
    columns
        Further ones, each of shape (N,).

    Raises
    ------
    UserError
        If the name ends otherwise, or it cannot be written.
    """
    check_table_name(out)
    table: dict[str, Column] = {
        IMAGE: text_column(names),
        GROUP: text_column(groups),
    }
    if places is not None:
        table["x"], table["y"] = np.asarray(places, np.float32).T
    for name, column in (columns or {}).items():
        free = name
        while free in table:
            free = f"source_{free}"
        table[free] = column
    if any(len(column) != len(names) for column in table.values()):
        raise ValueError(f"columns of other lengths came for {len(names)} rows")
    _write_table(out, table)


def write_labels(
    out: Path, names: Sequence[str], groups: Sequence[str], slides: Sequence[str] | None = None
) -> int:
    """Write the pictures that are in a group as labels for training; return how many.

    The columns are image, class and slide_id where slides are given: a file `tiles.csv` in the
    folder of the pictures is what `medssl` trains and evaluates by. Programs read it: unlike in
    `write_groups`, texts that a spreadsheet would take for formulas are as they are.

    Raises
    ------
    UserError
        If no row is in a group, or it cannot be written.
    """
    rows = [row for row, group in enumerate(groups) if group]
    if not rows:
        raise UserError("No row is in a group, so there are no labels. Assign some first.")
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([IMAGE, "class"] if slides is None else [IMAGE, "class", "slide_id"])
    for row in rows:
        last = [] if slides is None else [slides[row]]
        writer.writerow([written_text(value) for value in (names[row], groups[row], *last)])
    write_whole(out, text.getvalue())
    return len(rows)


def read_groups(path: Path) -> GroupTable:
    """Return the groups of a table: of this program, of `medssl cluster`, or of any other.

    Numbers become names: "cluster 3"; but in a column `group` or `class` they are names already.

    Raises
    ------
    UserError
        If it cannot be read, or has no column of groups.
    """
    table = read_name_table(path)
    known = {name.casefold(): name for name in reversed(table.columns)}
    column = next((known[name] for name in GROUP_COLUMNS if name in known), None)
    if column is None:
        raise UserError(
            f"{path.name!r} has no column of groups; due is one called {', '.join(GROUP_COLUMNS)}."
            f" It has {', '.join(table.columns) or 'none besides the names'}."
        )
    others = {name: of for name, of in table.columns.items() if name != column}
    named = column.casefold() in (GROUP, "class")
    groups = tuple(_group_names(table.columns[column], "" if named else "cluster "))
    return GroupTable(table.names, groups, others, table.left_out)


def match_rows(names: Sequence[str], table_names: Sequence[str], place: str) -> MatchedRows:
    """Return which rows a table speaks of, by name.

    Parameters
    ----------
    names
        Of the rows, all different.
    table_names
        Those of the table.
    place
        What the table is called, for the message.

    Raises
    ------
    UserError
        If it names one row twice, or none of them.
    """
    row_of = {written_text(name): row for row, name in enumerate(names)}
    rows, places, unknown = [], [], []
    for number, name in enumerate(table_names):
        row = row_of.get(written_text(name))
        if row is None:
            unknown.append(name)
        else:
            rows.append(row)
            places.append(number)
    found = np.array(rows, np.int64)
    values, counts = np.unique(found, return_counts=True)
    if (counts > 1).any():
        twice = names[int(values[counts.argmax()])]
        raise UserError(
            f"{place!r} names {twice!r} {counts.max()} times. Leave one row of each picture."
        )
    if not rows:
        first = f", the first is {table_names[0]!r}" if table_names else ""
        raise UserError(
            f"None of the {len(table_names)} names of {place!r} is a picture of this map{first}; "
            f"the map has {names[0] if names else 'none'!r}. Give a table of these pictures."
        )
    return MatchedRows(found, np.array(places, np.int64), tuple(unknown))


def _group_names(column: Column, before: str) -> list[str]:
    if column.dtype.kind in "if":  # numbers of clusters; -1 is noise in other programs
        numbers = [-1 if np.isnan(value) else value for value in column.tolist()]
        written = [f"{value:.15g}" if isinstance(value, float) else f"{value}" for value in numbers]
        return ["" if text.startswith("-") else before + text for text in written]
    texts = [text.strip() for text in column_texts(column)]
    return ["" if text.casefold() in _NONE else text for text in texts]


def _write_table(out: Path, table: Mapping[str, Column]) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    made = {written_text(name): to_arrow(column) for name, column in table.items()}
    if out.suffix.lower() == ".csv":
        write_table_csv(out, made)
        return
    with replace_whole(out) as temporary:
        parquet.write_table(arrow.table(made), temporary, compression="zstd")
