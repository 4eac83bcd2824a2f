"""The groups that a column of values makes, such as the class or the slide of each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.state.point_group import NONE_NAME
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
    texts = np.array([" ".join(str(value).split())[:_LONGEST_NAME] for value in values], object)
    found, places, sizes = (
        np.unique(texts.astype(str), return_inverse=True, return_counts=True)
        if len(texts)
        else (np.zeros(0, str), np.zeros(0, np.int64), np.zeros(0, np.int64))
    )
    commonest = np.argsort(-sizes, kind="stable")[:MOST_GROUPS]
    labels = np.full(len(found), -1, np.int64)
    kept = sorted(int(n) for n in commonest if found[n] not in ("", NONE_NAME))
    labels[kept] = np.arange(len(kept))
    names = {label: str(found[n]) for label, n in enumerate(kept)}
    return PointGroups.of_labels(labels[places], names)
