"""Rows of features that other programs made, checked and of unit length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.feature_table import FeatureTable, read_features


def read_unit_features(path: Path) -> FeatureTable:
    """Return the rows of a file of features, see `io.feature_table`, of unit length.

    Raises
    ------
    UserError
        If it cannot be read, or as `unit_features` does.
    """
    return unit_features(read_features(path), str(path))


def unit_features(table: FeatureTable, place: str) -> FeatureTable:
    """Return rows of features with unit length.

    Parameters
    ----------
    table
        As it was read.
    place
        Whence, for the message.

    Raises
    ------
    UserError
        If there are fewer than two rows, or some have no direction: NaN, infinity or all zeros.
    """
    from napari_medssl.backend.encoders import unit_length

    count = len(table.names)
    for words, bad in (
        ("hold NaN or infinity", ~np.isfinite(table.features).all(axis=1)),
        ("are all zeros", ~table.features.any(axis=1)),
    ):
        if bad.any():
            raise UserError(
                f"{int(bad.sum())} of {count} rows of {place!r} {words}, "
                f"the first is {table.names[int(bad.argmax())]!r}. Embed those pictures again, or "
                "take them out."
            )
    if count < 2:
        raise UserError(f"{place!r} holds {count} rows; at least 2 are due to compare.")
    # The squares of very large or small numbers are beyond float32.
    longest = np.maximum(table.features.max(axis=1), -table.features.min(axis=1))[:, None]
    is_far = (longest > 1e15) | (longest < 1e-9)
    features = np.divide(table.features, longest, where=is_far, out=table.features.copy())
    return replace(table, features=unit_length(features))
