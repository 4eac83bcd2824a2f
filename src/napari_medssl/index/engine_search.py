"""Search the mirror of a collection in LanceDB, with the hits that the library itself gives.

LanceDB's index finds candidates by short codes; `refine` times as many as are wanted are compared
by their full vectors. The similarity told is the cosine of these, as in our own search.
"""

from __future__ import annotations

import math
from collections.abc import Collection as Group
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.index.arrays import TILE, TileRows
from napari_medssl.index.engine import Engine, EngineEntry, one_of
from napari_medssl.index.exact import Queries
from napari_medssl.index.results import Hit, SearchResult, Tile
from napari_medssl.index.searchable import check_has_tiles, nearest_row, unit_queries
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideRecord, is_fingerprint

_COLUMNS = ["slide", "x", "y", "size", "tissue"]


class EngineCollection:
    """A mirrored collection, to be searched; see `index.searchable.Searchable`.

    Parameters
    ----------
    engine
        Where it is.
    entry
        Which one.

    Attributes
    ----------
    problems
        None: what the library could not give was not mirrored.
    """

    problems: tuple[tuple[str, str], ...] = ()

    def __init__(self, engine: Engine, entry: EngineEntry) -> None:
        self._engine, self._entry = engine, entry
        with engine.errors_told():
            self._tiles = engine.table(entry.set_up.name)
            self._slides = engine.table(f"{entry.set_up.name}.slides")
        if self._tiles is None or self._slides is None:
            raise UserError(
                f"The engine {engine.url!r} lacks tables of {entry.set_up.name!r}. Fill it again "
                "with `medssl mirror`."
            )

    @property
    def set_up(self) -> SetUp:
        """The encoder and its tiles."""
        return self._entry.set_up

    @property
    def encoder_given(self) -> str:
        """How the encoder was named when the collection was made."""
        return self._entry.encoder_given

    @property
    def slides(self) -> tuple[SlideRecord, ...]:
        """The slides that can be searched, by path."""
        return tuple(sorted(self._records.values(), key=lambda one: (one.path, one.fingerprint)))

    def search(
        self,
        queries: NDArray[np.floating],
        top: int = 10,
        *,
        exclude_slides: Group[str] = (),
        exclude_patients: Group[str] = (),
        exclude_tiles: Sequence[Tile] = (),
    ) -> SearchResult:
        """Return the tiles most similar to each query, as `SearchCollection.search` does.

        Raises
        ------
        UserError
            If the queries do not fit, or the engine fails.
        """
        vectors = unit_queries(queries, self.set_up)
        if top < 1:
            raise UserError(f"The {top} nearest tiles are asked for; due is 1 or more.")
        out = set(exclude_slides) | {
            one.fingerprint
            for one in self._records.values()
            if one.patient and one.patient in exclude_patients
        }
        unwanted = {(one.slide, one.x, one.y) for one in exclude_tiles}
        reach = self._entry.way.reach(top)
        with self._engine.errors_told():
            hits = tuple(
                self._hits(vector, top + len(unwanted), sorted(out), unwanted)[:top]
                for vector in vectors
            )
        return SearchResult(hits, reach.recall)

    def vector(self, tile: Tile) -> Queries:
        """Return the embedding of a tile, float32, shape (D,), of unit length.

        Raises
        ------
        UserError
            If the engine holds no such tile.
        """
        place = f"slide = '{tile.slide}' AND x = {int(tile.x)} AND y = {int(tile.y)}"
        with self._engine.errors_told():
            found = self._tiles.search().where(place).select(["vector"]).limit(1).to_arrow()
        if not len(found):
            raise UserError(
                f"The engine has no tile at x {tile.x}, y {tile.y} of slide {tile.slide}. Search "
                "anew."
            )
        vector: Queries = vectors_of(found)[0]
        return vector / np.float32(np.linalg.norm(vector))

    def nearest_tile(self, slide: str, point: tuple[float, float]) -> Tile:
        """Return the tile under a level-0 point, else the one whose middle is nearest.

        Raises
        ------
        UserError
            If the slide is not in the engine or has no tile.
        """
        record = self._records.get(slide)
        if record is None or not is_fingerprint(slide):
            raise UserError(f"The slide {slide!r} is not in the engine {self._engine.url!r}.")
        with self._engine.errors_told():
            asked = self._tiles.search().where(f"slide = '{slide}'").select(_COLUMNS)
            found = asked.limit(max(record.tiles, 1)).to_arrow()
        tiles = _tile_rows(found)
        check_has_tiles(tiles, Path(record.path).name)
        row = tiles[nearest_row(tiles, point)]
        return Tile(slide, int(row["x"]), int(row["y"]), int(row["size"]), float(row["tissue"]))

    @cached_property
    def _records(self) -> Mapping[str, SlideRecord]:
        """The slides whose tiles are all there, by fingerprint."""
        with self._engine.errors_told():
            rows = self._slides.to_arrow().to_pylist()
        return {
            row["fingerprint"]: SlideRecord(
                row["fingerprint"],
                row["path"],
                row["patient"],
                (row["width"], row["height"]),
                row["mpp"],
                row["tiles"],
            )
            for row in rows
            if row["is_whole"] and is_fingerprint(row["fingerprint"])
        }

    def _part_left(self, out: Sequence[str]) -> float:
        """Return the part of the tiles that lies in other slides, at least that of one tile."""
        total = max(1, sum(one.tiles for one in self._records.values()))
        gone = sum(self._records[name].tiles for name in out if name in self._records)
        return max(1, total - gone) / total

    def _hits(
        self, query: Queries, top: int, out: Sequence[str], unwanted: set[tuple[str, int, int]]
    ) -> tuple[Hit, ...]:
        """Return the hits of one query (D,), best first."""
        found = nearest(self._tiles, self._entry, query, top, out, left=self._part_left(out))
        similarity = vectors_of(found) @ query
        hits = []
        for row in np.argsort(-similarity, kind="stable").tolist():
            slide, x, y, size, tissue = (found[name][row].as_py() for name in _COLUMNS)
            if slide in self._records and (slide, x, y) not in unwanted:
                value = min(1.0, max(-1.0, float(similarity[row])))
                hits.append(Hit(Tile(slide, x, y, size, tissue), value))
        return tuple(hits)


def open_engine(url: str, encoder: str = "") -> EngineCollection:
    """Open the collection of an encoder in an engine, or the only one, for search.

    Raises
    ------
    UserError
        If there is no such engine, or nothing or too much of that encoder in it.
    """
    engine = Engine(url)
    return EngineCollection(engine, engine.entry(encoder))


def nearest(
    tiles: Any,
    entry: EngineEntry,
    query: Queries,
    top: int,
    out: Sequence[str] = (),
    *,
    left: float = 1.0,
) -> Any:
    """Return the nearest rows to a query (D,) as an Arrow table with their vectors.

    Parameters
    ----------
    tiles
        The table.
    entry
        How it is searched.
    query
        Of unit length, float32 (D,).
    top
        How many.
    out
        Slides in which nothing is to be found.
    left
        Part of the tiles that are left to search in, above 0: the fewer, the more lists are looked
        into, as those near the query may hold none of them.
    """
    asked = tiles.search(query, vector_column_name="vector", query_type="vector")
    asked = asked.distance_type("cosine").limit(top).select(["vector", *_COLUMNS, "_distance"])
    if out:
        asked = asked.where(f"NOT ({one_of('slide', out)})", prefilter=True)
    reach = entry.way.reach(top)
    if not reach.nprobe:
        return asked.bypass_vector_index().to_arrow()
    if left < 1:  # beyond the least number, lists are looked into until enough tiles are found
        asked = asked.maximum_nprobes(0).minimum_nprobes(math.ceil(reach.nprobe / left))
    else:
        asked = asked.nprobes(reach.nprobe)
    return asked.refine_factor(entry.way.refine).to_arrow()


def vectors_of(found: Any) -> Queries:
    """Return the vectors of an Arrow table, float32 (N, D)."""
    column = found["vector"].combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False)
    vectors: Queries = np.asarray(values, np.float32).reshape(-1, column.type.list_size)
    return vectors


def _tile_rows(found: Any) -> TileRows:
    rows = np.zeros(len(found), TILE)
    for name in TILE.names or ():
        rows[name] = found[name].to_numpy()
    return rows
