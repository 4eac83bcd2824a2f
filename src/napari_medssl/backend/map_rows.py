"""The rows of a map: names, embeddings, columns and pictures."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.map_pictures import RowPictures
from napari_medssl.io.table_columns import Column, text_column

FOLDER_COLUMN = "folder"
"""Column of the name of a picture's folder: its class, where folders are classes."""

_LINES = 10_000  # names at a time: one call for a million would hold up the window


@dataclass(frozen=True)
class MapSource:
    """The rows of a map, N.

    Attributes
    ----------
    names
        Different ones, N.
    embeddings
        float32, unit length, shape (N, D).
    columns
        What else is known of each row, see `io.table_columns`.
    pictures
        Where the picture of each row is.
    by
        What made the embeddings, in words.
    failures
        (name, reason) of what could not be read.
    """

    names: tuple[str, ...]
    embeddings: NDArray[np.float32]
    columns: dict[str, Column]
    pictures: RowPictures
    by: str
    failures: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        """Return the number of rows, N."""
        return len(self.names)

    @cached_property
    def content(self) -> str:
        """Hash of names and embeddings; of a million rows it takes a second or more to make."""
        digest = hashlib.blake2b(digest_size=16, person=b"medssl-map")
        for start in range(0, len(self.names), _LINES):
            text = "".join(f"{name}\0" for name in self.names[start : start + _LINES])
            digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(repr(self.embeddings.shape).encode())
        digest.update(np.ascontiguousarray(self.embeddings).data)
        return digest.hexdigest()


def check_rows(source: MapSource, place: str) -> MapSource:
    """Return the source, of which every row can be told from the others.

    Raises
    ------
    UserError
        If there are fewer than two rows, two have one name, or all have one embedding.
    """
    count = len(source)
    if count < 2:
        raise UserError(f"{place!r} holds {count} rows; at least 2 are due to compare.")
    seen: set[str] = set()
    for start in range(0, count, _LINES):
        seen.update(source.names[start : start + _LINES])
    if len(seen) < count:
        name, times = Counter(source.names).most_common(1)[0]
        rows = [row for row, other in enumerate(source.names) if other == name][:2]
        raise UserError(
            f"{name!r} stands in {times} rows of {place!r}, such as {rows[0] + 1} and "
            f"{rows[1] + 1}. Groups belong to names: give each row a name of its own, or take "
            "the copies out."
        )
    is_first = (source.embeddings[1:2] == source.embeddings[0]).all()
    if is_first and (source.embeddings == source.embeddings[0]).all():
        raise UserError(
            f"All {count} rows of {place!r} have the same embedding, so there is nothing to lay "
            "out. Embed the pictures again."
        )
    return source


def folder_column(names: Sequence[str], root: str) -> Column:
    """Return the name of the folder of each picture; `root` for those that lie in none."""
    return text_column([PurePosixPath(name).parent.name or root for name in names])
