"""Tables with a row for each picture, CSV or Parquet: its name, and columns of anything."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.csv_files import FORMULA, bare_text
from napari_medssl.io.limits import one_line
from napari_medssl.io.table_columns import Column, arrow_column, typed_column

NAME_COLUMNS = ("image", "name", "filename", "file", "path", "tile")
"""What the column of names may be called, in this order; else the first column has them."""

_MOST_BYTES = 2 * 2**30
_MOST_COLUMNS = 1000
_LONGEST_HEADER = 100_000


@dataclass(frozen=True, slots=True)
class NameTable:
    """A table.

    Attributes
    ----------
    names
        Of each row, N; they need not be different.
    columns
        By name, each of shape (N,), see `io.table_columns`.
    left_out
        Names of columns that hold neither numbers nor texts.
    """

    names: tuple[str, ...]
    columns: dict[str, Column] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def read_name_table(path: Path) -> NameTable:
    """Return a table of a file .csv or .parquet.

    Raises
    ------
    UserError
        If it is missing, damaged, too large or no table.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(
                f"The table {path.name!r} is too large: over {_MOST_BYTES / 1e9:.0f} GB."
            )
        return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except FileNotFoundError:
        raise UserError(f"Cannot read {str(path)!r}: there is no such file.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"The table {path.name!r} cannot be read: {one_line(error)}.") from None


def name_column(columns: Sequence[str]) -> str:
    """Return which column has the names."""
    known = {column.casefold(): column for column in reversed(columns)}
    found = (known[name] for name in NAME_COLUMNS if name in known)
    return next(found, columns[0])


def _csv(path: Path) -> NameTable:
    import pyarrow as arrow
    from pyarrow import csv as fast

    delimiter, columns = _header(path)
    _check_columns([name for name in columns if name], path.name)
    keys = [str(number) for number in range(len(columns))]
    try:
        table = fast.read_csv(
            path,
            fast.ReadOptions(column_names=keys, use_threads=False),
            fast.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            fast.ConvertOptions(column_types=dict.fromkeys(keys, arrow.string())),
        ).slice(1)
    except arrow.ArrowInvalid as error:
        raise UserError(
            f"The table {path.name!r} cannot be read: {one_line(error)}. Due are a line of column "
            "names and a line of as many fields for each picture."
        ) from None
    values = {
        name: _raw_texts(texts)  # a column without a name, as pandas has one, only counts the rows
        for name, texts in zip(columns, table.columns, strict=True)
        if name
    }
    names = values.pop(name_column(list(values)))
    return NameTable(
        tuple(names.to_pylist()), {name: typed_column(texts) for name, texts in values.items()}
    )


def _header(path: Path) -> tuple[str, list[str]]:
    """Return what parts the fields of a file, and the names of its columns."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        first = stream.readline(_LONGEST_HEADER)
        stream.seek(0)
        delimiter = max(",;\t", key=first.count)
        header = next(csv.reader(stream, delimiter=delimiter), [])
    return delimiter, [bare_text(name.strip()) for name in header]


def _raw_texts(texts: object) -> Any:
    """Return texts without the apostrophe that `write_csv` puts before formulas."""
    from pyarrow import compute

    return compute.replace_substring_regex(texts, f"^'{FORMULA}", r"\1")


def _parquet(path: Path) -> NameTable:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            _check_columns(list(schema.names), path.name)
            name = name_column([f.name for f in schema if _is_text(f.type)] or schema.names)
            left_out = tuple(f.name for f in schema if arrow.types.is_nested(f.type))
            table = file.read(columns=[one for one in schema.names if one not in left_out])
            found = {one: arrow_column(table[one]) for one in table.column_names}
    except (arrow.ArrowException, ValueError, KeyError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"Cannot read {path.name!r} as a table: it is damaged or another kind of file "
            f"({one_line(error)})."
        ) from error
    names = found.pop(name, None)
    if names is None:
        raise UserError(f"{path.name!r} has no column of names. Give one {NAME_COLUMNS[0]!r}.")
    left_out += tuple(one for one, column in found.items() if column is None)
    columns = {one: column for one, column in found.items() if column is not None}
    return NameTable(tuple(map(str, names)), columns, left_out)


def _is_text(kind: object) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind))


def _check_columns(columns: Sequence[str], name: str) -> None:
    if not any(columns):
        raise UserError(f"{name!r} is empty; due are a line of column names and a row a picture.")
    if len(columns) > _MOST_COLUMNS:
        raise UserError(f"{name!r} has {len(columns)} columns; the limit is {_MOST_COLUMNS}.")
    twice = {one for one in columns if columns.count(one) > 1}
    if twice:
        raise UserError(f"{name!r} has several columns {min(twice)!r}. Give each its own name.")
