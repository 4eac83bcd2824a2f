"""Columns of tables as arrays: numbers where every value is one, else texts."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
"""Bool, int64 or float64 (NaN where nothing stands), or texts as objects; shape (N,)."""

# "007" is a name, and so is "1_000", which Python would take for a number.
_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,15})")
_NUMBER = re.compile(
    r"[+-]?(?:(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?|nan|inf)", re.ASCII
)


def text_column(texts: Sequence[str]) -> Column:
    """Return texts as a column as they are."""
    column = np.empty(len(texts), object)
    column[:] = list(texts)
    return column


def typed_column(texts: Sequence[str]) -> Column:
    """Return texts of a file as whole numbers, as numbers or as texts: what fits all of them."""
    kinds = dict.fromkeys(texts)
    held = [text for text in kinds if text.strip()]
    if held and all(_WHOLE.fullmatch(text.strip()) for text in held):
        if len(held) == len(kinds):
            return np.array([int(text) for text in texts], np.int64)
    elif not held or not all(_is_number(text) for text in held):
        return text_column(texts)
    values = {text: float(text) if text.strip() else math.nan for text in kinds}
    return np.array([values[text] for text in texts], np.float64)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip().lower()) is not None


def arrow_column(values: Any) -> Column | None:
    """Return a column of an Arrow table; None for what is neither numbers nor texts.

    Parameters
    ----------
    values
        A `pyarrow.Array` or `ChunkedArray`.
    """
    from pyarrow import compute, types

    kind = values.type
    if types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if types.is_string(kind) or types.is_large_string(kind):
        return text_column([text or "" for text in values.to_pylist()])
    if types.is_boolean(kind) and not values.null_count:
        return np.asarray(values.to_numpy(), bool)
    if types.is_boolean(kind) or types.is_floating(kind):
        return np.asarray(compute.cast(values, "float64").to_numpy(), np.float64)
    if types.is_integer(kind):
        dtype = np.float64 if values.null_count or types.is_uint64(kind) else np.int64
        return np.asarray(values.to_numpy()).astype(dtype)
    if types.is_temporal(kind):
        return text_column([text or "" for text in values.cast("string").to_pylist()])
    return None


def column_texts(column: Column) -> list[str]:
    """Return the values of a column as a file has them: NaN is "", whole floats have no point."""
    if column.dtype.kind == "f":
        return ["" if math.isnan(value) else f"{value:.7g}" for value in column.tolist()]
    if column.dtype.kind == "b":
        return ["true" if value else "false" for value in column.tolist()]
    return [str(value) for value in column.tolist()]
