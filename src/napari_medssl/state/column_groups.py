"""The groups that a column of values makes, such as the class or the slide of each row."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.state.point_group import NONE_NAME, clean_group_name
from napari_medssl.state.point_groups import PointGroups

MOST_GROUPS = 100
"""Of a column of more values, such as names of files, the commonest are groups."""

_LONGEST_NAME = 120


def groups_of_column(values: NDArray[Any]) -> PointGroups:
    """Return a group for each value, rows without one in none; the commonest `MOST_GROUPS` of them.

    Parameters
    ----------
    values
        Texts or whole numbers, shape (N,).
    """
    listed = values.tolist()
    name_of = {value: _name_of(value) for value in dict.fromkeys(listed)}
    times = Counter(map(name_of.__getitem__, listed))
    for nothing in ("", NONE_NAME):
        times.pop(nothing, None)
    commonest = sorted(sorted(times), key=times.__getitem__, reverse=True)[:MOST_GROUPS]
    names = sorted(commonest)
    label_of = {name: label for label, name in enumerate(names)}
    labels = (label_of.get(name_of[value], -1) for value in listed)
    found = np.fromiter(labels, np.int64, len(listed))
    return PointGroups.of_labels(found, dict(enumerate(names)))


def _name_of(value: Any) -> str:
    """Return a value as a name of a group; "" if it holds nothing to read."""
    try:
        return clean_group_name(" ".join(str(value).split())[:_LONGEST_NAME])
    except UserError:
        return ""
