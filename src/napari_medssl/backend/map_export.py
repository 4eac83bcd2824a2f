"""The groups of a map to files and from them, and columns that a table knows of its rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.labelled_tiles import slide_of
from napari_medssl.backend.map_rows import MapSource
from napari_medssl.io.group_files import match_rows, read_groups, write_groups, write_labels
from napari_medssl.io.name_table import read_name_table
from napari_medssl.io.table_columns import Column, column_texts, text_column
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.state.row_selection import Mask

_SLIDE_COLUMNS = ("slide_id", "slide")


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What came of a table.

    Attributes
    ----------
    rows
        How many rows of the map it spoke of.
    unknown
        Names that are no row's; nothing was done with them.
    left_out
        Names of columns that hold neither numbers nor texts.
    """

    rows: int
    unknown: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def export_groups(
    source: MapSource,
    groups: PointGroups,
    out: Path,
    *,
    places: NDArray[np.float32] | None = None,
    mask: Mask | None = None,
) -> int:
    """Write the groups of rows as CSV or Parquet, with all columns; return how many rows.

    Parameters
    ----------
    source, groups
        The rows.
    out
        A file .csv or .parquet, see `io.group_files.write_groups`.
    places
        On the map, shape (N, 2).
    mask
        Only these rows, shape (N,).

    Raises
    ------
    UserError
        If there is no row, or it cannot be written.
    """
    rows = np.arange(len(source)) if mask is None else np.flatnonzero(mask)
    if not len(rows):
        raise UserError("No row is selected, so there is nothing to write. Select some first.")
    write_groups(
        out,
        [source.names[row] for row in rows.tolist()],
        groups.names()[rows].tolist(),
        places=None if places is None else places[rows],
        columns={name: column[rows] for name, column in source.columns.items()},
    )
    return len(rows)


def export_labels(source: MapSource, groups: PointGroups, out: Path) -> int:
    """Write the rows that are in a group as labels for training; return how many.

    See `io.group_files.write_labels`. The slide is that of the source's column, else what the
    picture's file name tells.

    Raises
    ------
    UserError
        If no row is in a group, or it cannot be written.
    """
    known = next((name for name in _SLIDE_COLUMNS if name in source.columns), None)
    if known is not None:
        slides = column_texts(source.columns[known])
    else:
        slides = [slide_of(Path(PurePosixPath(name))) for name in source.names]
    return write_labels(out, source.names, groups.names().tolist(), slides)


def import_groups(source: MapSource, groups: PointGroups, path: Path) -> TakenIn:
    """Put rows into the groups that a table gives them, in one edit; the others stay.

    Raises
    ------
    UserError
        If it cannot be read, has no column of groups, names a row twice or none.
    """
    table = read_groups(path)
    matched = match_rows(source.names, table.names, path.name)
    groups.assign_names(matched.rows, [table.groups[place] for place in matched.places.tolist()])
    return TakenIn(len(matched.rows), matched.unknown, table.left_out)


def with_columns(source: MapSource, path: Path) -> tuple[MapSource, TakenIn]:
    """Return the source with the columns of a table besides, by name; those of one name go.

    Rows that the table does not speak of have NaN, or "" where it is texts.

    Raises
    ------
    UserError
        If it cannot be read, names a row twice or none.
    """
    table = read_name_table(path)
    matched = match_rows(source.names, table.names, path.name)
    added: dict[str, Column] = {}
    for name, column in table.columns.items():
        if len(matched.rows) == len(source):
            values = np.empty(len(source), column.dtype)
        elif column.dtype.kind in "if":
            values = np.full(len(source), np.nan)
        else:
            column = text_column(column_texts(column))
            values = text_column([""] * len(source))
        values[matched.rows] = column[matched.places]
        added[name] = values
    made = replace(source, columns={**source.columns, **added})
    return made, TakenIn(len(matched.rows), matched.unknown, table.left_out)
