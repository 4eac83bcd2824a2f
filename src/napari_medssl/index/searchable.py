"""What can be searched: our library, or a mirror of it in another engine."""

from __future__ import annotations

from collections.abc import Collection as Group
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.index.arrays import TileRows
from napari_medssl.index.exact import Queries
from napari_medssl.index.results import SearchResult, Tile
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideRecord


class Searchable(Protocol):
    """Embeddings of one set-up, as `index.collection.SearchCollection` documents them."""

    @property
    def set_up(self) -> SetUp:
        """The encoder and its tiles."""
        ...

    @property
    def encoder_given(self) -> str:
        """How the encoder was named when the collection was made."""
        ...

    @property
    def slides(self) -> tuple[SlideRecord, ...]:
        """The slides that can be searched, by path."""
        ...

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """`(fingerprint, reason)` of slides that are left out."""
        ...

    def search(
        self,
        queries: NDArray[np.floating],
        top: int = 10,
        *,
        exclude_slides: Group[str] = (),
        exclude_patients: Group[str] = (),
        exclude_tiles: Sequence[Tile] = (),
    ) -> SearchResult:
        """Return the tiles most similar to each query."""
        ...

    def vector(self, tile: Tile) -> Queries:
        """Return the embedding of a tile, float32, shape (D,), of unit length."""
        ...

    def nearest_tile(self, slide: str, point: tuple[float, float]) -> Tile:
        """Return the tile under a level-0 point, else the one whose middle is nearest."""
        ...


def unit_queries(queries: NDArray[np.floating], set_up: SetUp) -> Queries:
    """Return queries (Q, D) or (D,) of unit length, float32, shape (Q, D).

    Raises
    ------
    UserError
        If they have other dimensions than the set-up, or are not finite or zero.
    """
    vectors = np.atleast_2d(np.asarray(queries, np.float32))
    if vectors.ndim != 2 or vectors.shape[1] != set_up.dim:
        raise UserError(
            f"A query has {vectors.shape[-1]} dimensions, the library's embeddings by encoder "
            f"{set_up.encoder!r} have {set_up.dim}. Embed the query with that one."
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise UserError("A query is not finite or zero: it was no picture. Choose another one.")
    return np.ascontiguousarray(vectors / lengths)


def nearest_row(tiles: TileRows, point: tuple[float, float]) -> int:
    """Return the row of the tile under a level-0 point, else of the one whose middle is nearest."""
    x, y = (
        value - (tiles[axis] + tiles["size"] / 2) for axis, value in zip("xy", point, strict=True)
    )
    half = tiles["size"] / 2
    is_under = (x >= -half) & (x < half) & (y >= -half) & (y < half)
    # A point on the edge of a tile is as far from the middle of the next one.
    distance = np.where(is_under, 0, tiles["size"].max() ** 2) + x * x + y * y
    return int(distance.argmin())


def check_has_tiles(tiles: TileRows, name: str) -> None:
    """Raise `UserError` if a slide of this file name has no tile."""
    if not len(tiles):
        raise UserError(
            f"The slide {name!r} shows no tissue, so it has no tile. Index it again with a lower "
            "--min-tissue."
        )
