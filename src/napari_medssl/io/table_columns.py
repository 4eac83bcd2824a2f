"""Columns of tables as arrays: numbers where every value is one, else texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
"""Bool, int64 or float64 (NaN where nothing stands), or texts as objects; shape (N,)."""

# "007" is a name, and so is "1_000", which Python would take for a number.
_WHOLE = r"^[+-]?(0|[1-9][0-9]{0,15})$"
_NUMBER = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_NAN = r"^(?i:nan|na|null)$"


def text_column(texts: Sequence[str]) -> Column:
    """Return texts as a column as they are."""
    column = np.empty(len(texts), object)
    column[:] = list(texts)
    return column


def typed_column(texts: Any) -> Column:
    """Return texts of a file as whole numbers, as numbers or as texts: what fits all of them.

    Parameters
    ----------
    texts
        A `pyarrow.Array` or `ChunkedArray` of strings, none of them null.
    """
    from pyarrow import compute

    bare = compute.utf8_trim_whitespace(texts)
    is_empty = compute.or_(compute.equal(bare, ""), compute.match_substring_regex(bare, _NAN))
    held = bare.filter(compute.invert(is_empty))
    if not len(held) or not _all_match(held, _NUMBER):
        return text_column(texts.to_pylist())
    if len(held) == len(texts) and _all_match(held, _WHOLE):
        return np.asarray(_unsigned(held).cast("int64").to_numpy(), np.int64)
    numbers = compute.if_else(is_empty, "nan", _unsigned(bare))
    return np.asarray(compute.cast(numbers, "float64").to_numpy(), np.float64)


def _all_match(texts: Any, pattern: str) -> bool:
    from pyarrow import compute

    return bool(compute.all(compute.match_substring_regex(texts, pattern), min_count=0).as_py())


def _unsigned(texts: Any) -> Any:
    """Return texts of numbers without the plus sign, which Arrow does not know."""
    from pyarrow import compute

    return compute.replace_substring_regex(texts, r"^\+", "")


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


def to_arrow(column: Column) -> Any:
    """Return a column as an Arrow array; NaN is null, names that are no valid text are written."""
    import pyarrow as arrow

    if column.dtype.kind != "O":
        return arrow.array(column, from_pandas=True)
    return arrow.array([written_text(str(value)) for value in column], arrow.string())


def written_text(text: str) -> str:
    """Return a text as files have it: names of files need not be valid text."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def column_texts(column: Column) -> list[str]:
    """Return the values of a column as a file has them: NaN is "", whole floats have no point."""
    if column.dtype.kind == "f":
        return ["" if math.isnan(value) else f"{value:.7g}" for value in column.tolist()]
    if column.dtype.kind == "b":
        return ["true" if value else "false" for value in column.tolist()]
    return [str(value) for value in column.tolist()]
