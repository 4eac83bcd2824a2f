"""The columns of a source: which are others when they are read anew, and a value in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_medssl.io.table_columns import Column


def read_anew(
    former: Mapping[str, Column], read: Mapping[str, Column]
) -> tuple[dict[str, Column], set[str]]:
    """Return the columns that count from now on, and the names of those that are others or gone.

    A column that was read again as it was stays the very array, so that its colours stay.
    """
    kept = {
        name: former[name] if name in former and _is_same(former[name], values) else values
        for name, values in read.items()
    }
    return kept, {name for name in (*kept, *former) if kept.get(name) is not former.get(name)}


def value_text(value: object) -> str:
    """Return a value of a column as it is shown."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.4g}"
    return str(value)


def _is_same(one: Column, other: Column) -> bool:
    is_number = one.dtype.kind == other.dtype.kind == "f"
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=is_number)
