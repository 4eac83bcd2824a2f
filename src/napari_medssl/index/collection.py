"""A collection opened for search: slides, tiles, embeddings and the queries that they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Collection as Group
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.index.arrays import Half, TileRows
from napari_medssl.index.exact import Queries
from napari_medssl.index.examples import combine_examples
from napari_medssl.index.flat_update import OnSlide
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.index.results import SearchResult, SlideScores, Tile
from napari_medssl.index.searchable import check_has_tiles, nearest_row, unit_queries
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideRecord, is_fingerprint
from napari_medssl.index.unfinished import read_unfinished
from napari_medssl.index.view import (
    View,
    find,
    kept_rows,
    make_hits,
    make_tile,
    open_view,
    rows_of,
)


class SearchCollection:
    """Embeddings of one set-up, to be searched. Every method may be called from any thread.

    Make one with `open_collection`.

    Attributes
    ----------
    set_up
        The encoder and its tiles: a query is to be embedded with the same.
    encoder_given
        How the encoder was named when the collection was made; its file may lie there.
    """

    def __init__(self, folder: CollectionFolder) -> None:
        self.set_up: SetUp = folder.set_up
        self.encoder_given = folder.encoder_given
        self._folder = folder
        self._view = open_view(folder)

    # -- what there is ---------------------------------------------------------------------------

    @property
    def slides(self) -> tuple[SlideRecord, ...]:
        """The slides that can be searched, by path."""
        view = self._view
        found = (view.records[one] for one in view.flat.live if one in view.records)
        return tuple(sorted(found, key=lambda record: (record.path, record.fingerprint)))

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """`(fingerprint, reason)` of slides that are damaged and left out."""
        return self._view.problems

    @property
    def tile_count(self) -> int:
        """Number of tiles that can be searched."""
        return sum(one.rows for one in self._view.flat.live.values())

    @property
    def recall(self) -> float:
        """1.0 while searches are exact, else the measured recall of the ten nearest."""
        approximate = self._view.approximate
        return 1.0 if approximate is None else approximate.reach(1).recall

    def refresh(
        self,
        *,
        on_slide: OnSlide = lambda done, total: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take in slides that came and let go of those that went since it was opened.

        Searches under way end with what they began with.
        """
        self._view = open_view(self._folder, on_slide, should_stop)

    # -- search ----------------------------------------------------------------------------------

    def search(
        self,
        queries: NDArray[np.floating],
        top: int = 10,
        *,
        exclude_slides: Group[str] = (),
        exclude_patients: Group[str] = (),
        exclude_tiles: Sequence[Tile] = (),
    ) -> SearchResult:
        """Return the tiles most similar to each query.

        Parameters
        ----------
        queries
            Vectors of the collection's encoder, shape (Q, D) or (D,); of any length but zero.
        top
            How many for each query.
        exclude_slides
            Fingerprints of slides in which nothing is to be found.
        exclude_patients
            Patients of whom nothing is to be found. Slides without a patient are not touched.
        exclude_tiles
            Tiles that are not to be found, such as the query itself.

        Raises
        ------
        UserError
            If the queries do not fit the collection, or are not finite.
        """
        view = self._view
        vectors = unit_queries(queries, self.set_up)
        if top < 1:
            raise UserError(f"The {top} nearest tiles are asked for; due is 1 or more.")
        unwanted = self._unwanted(view, exclude_tiles)
        keep = kept_rows(view, frozenset(exclude_slides), frozenset(exclude_patients))
        top = min(top, len(view.flat.vectors))
        if not top or (keep is not None and not keep.any()):
            return SearchResult(((),) * len(vectors), 1.0)
        found, recall = find(view, vectors, top, len(unwanted), keep)
        hits = tuple(
            make_hits(view, similarities, rows, unwanted, top)
            for similarities, rows in zip(*found, strict=True)
        )
        return SearchResult(hits, recall)

    def score_slide(self, vector: NDArray[np.floating], slide: str) -> SlideScores:
        """Return the similarity of every tile of a slide to a vector (D,): a heatmap.

        A slide that is being indexed has the tiles that are embedded so far.

        Raises
        ------
        UserError
            If the slide is not in the collection, or the vector does not fit.
        """
        view = self._view
        (unit,) = unit_queries(vector, self.set_up)
        tiles, half = self._embeddings(view, slide)
        similarity = np.asarray(half, np.float32) @ unit
        return SlideScores(np.array(tiles), np.clip(similarity, -1, 1))

    def combine(self, positives: Sequence[Tile], negatives: Sequence[Tile] = ()) -> Queries:
        """Return the direction that several tiles ask for, to be given to `search`, shape (D,).

        See `index.examples`; with one positive and no negative it is that tile's embedding.
        """
        return self.combine_vectors(
            np.array([self.vector(tile) for tile in positives]).reshape(-1, self.set_up.dim),
            np.array([self.vector(tile) for tile in negatives]).reshape(-1, self.set_up.dim),
        )

    def combine_vectors(
        self, positives: NDArray[np.floating], negatives: NDArray[np.floating]
    ) -> Queries:
        """Return what `combine` does for embeddings (P, D) and (M, D), of tiles from anywhere."""
        return combine_examples(positives, negatives, self._view.mean)

    # -- tiles -----------------------------------------------------------------------------------

    def vector(self, tile: Tile) -> Queries:
        """Return the embedding of a tile, float32, shape (D,), of unit length.

        Raises
        ------
        UserError
            If the collection holds no such tile.
        """
        view = self._view
        vector: Queries = np.asarray(view.flat.vectors[self._row(view, tile)], np.float32)
        return vector / np.linalg.norm(vector)

    def nearest_tile(self, slide: str, point: tuple[float, float]) -> Tile:
        """Return the tile under a level-0 point `(x, y)`, else the one whose middle is nearest.

        Which of the two it is says `Tile.holds`.

        Raises
        ------
        UserError
            If the slide is not in the collection or has no tile.
        """
        view = self._view
        tiles = view.flat.tiles[rows_of(view, slide)]
        check_has_tiles(tiles, Path(view.records[slide].path).name)
        return make_tile(slide, tiles[nearest_row(tiles, point)])

    def tiles(self, slide: str) -> TileRows:
        """Return the tiles of a slide, `arrays.TILE`, shape (N,); UserError if it is not there."""
        view = self._view
        return np.array(view.flat.tiles[rows_of(view, slide)])

    def spread_tiles(self, count: int, *, slides: int = 8) -> list[Tile]:
        """Return at most `count` tiles spread over at most `slides` slides, always the same."""
        view = self._view
        live = [view.flat.live[name] for name in sorted(view.flat.live)]
        found = [one for one in live if one.rows]
        chosen = [found[number] for number in _spread(len(found), slides)]
        tiles = []
        for part, one in enumerate(chosen):
            share = count * (part + 1) // len(chosen) - count * part // len(chosen)
            rows = [one.start + row for row in _spread(one.rows, share)]
            tiles += [make_tile(one.slide, view.flat.tiles[row]) for row in rows]
        return tiles

    # -- inside ----------------------------------------------------------------------------------

    def _embeddings(self, view: View, slide: str) -> tuple[TileRows, Half]:
        """Return the tiles of a slide and their embeddings, of an unfinished one so far."""
        if slide not in view.flat.live and is_fingerprint(slide):
            found = read_unfinished(self._folder.slide_folder(slide), self.set_up.dim)
            if found is not None:
                return found
        rows = rows_of(view, slide)
        return view.flat.tiles[rows], view.flat.vectors[rows]

    def _unwanted(self, view: View, tiles: Sequence[Tile]) -> set[int]:
        """Return the rows of tiles; those that are not in the library cannot be found anyway."""
        rows = set()
        for tile in tiles:
            with suppress(UserError):
                rows.add(self._row(view, tile))
        return rows

    @staticmethod
    def _row(view: View, tile: Tile) -> int:
        rows = rows_of(view, tile.slide)
        tiles = view.flat.tiles[rows]
        found = np.flatnonzero((tiles["x"] == tile.x) & (tiles["y"] == tile.y))
        if not len(found):
            raise UserError(
                f"The library has no tile at x {tile.x}, y {tile.y} of slide "
                f"{Path(view.records[tile.slide].path).name!r} any more. Search anew."
            )
        return int(rows.start) + int(found[0])


def _spread(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` of the numbers below `count`, evenly spread."""
    places = (np.arange(min(count, wanted)) + 0.5) * count / max(1, min(count, wanted))
    return [int(place) for place in places]


def open_collection(library: Library | Path | str, encoder: str = "") -> SearchCollection:
    """Open a library's embeddings of an encoder, or the only ones, for search.

    Raises
    ------
    UserError
        If there is no library, or nothing or too much of that encoder in it.
    """
    opened = library if isinstance(library, Library) else Library.open(library)
    return SearchCollection(opened.collection(encoder))
