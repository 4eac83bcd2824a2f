"""Bring the mirror of a collection in LanceDB up to date: what is new or changed, what has gone.

A slide's tiles count once its row says `is_whole`; that is written after them, and taken back
before they are changed. So a run that is killed leaves no slide by halves in a search, and the next
one finds by the rows what it has to put right: no tile is lost or there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.index.engine import Engine, one_of, slide_schema, tile_schema
from napari_medssl.index.flat import Flat, Segment
from napari_medssl.index.slide_record import SlideRecord, is_fingerprint

_GROUP_ROWS = 262_144  # tiles of one commit: 64 MB of 128 dimensions
_MOST_NAMED = 500  # slides of one condition


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """What is to be done.

    Attributes
    ----------
    add, remove, amend
        Slides to put in, to take out, and whose record alone has changed.
    tiles
        Tiles that come, or that go if these are more.
    """

    add: tuple[str, ...]
    remove: tuple[str, ...]
    amend: tuple[str, ...]
    tiles: int


class Mirror:
    """The mirror of one collection, to be written by one process at a time.

    Parameters
    ----------
    engine
        Where.
    name
        Of the collection.
    flat
        Its vectors and tiles.
    records
        Its slides, by fingerprint.
    """

    def __init__(
        self, engine: Engine, name: str, flat: Flat, records: Mapping[str, SlideRecord]
    ) -> None:
        self._flat, self._records, self._engine = flat, records, engine
        self._live = {name: one for name, one in flat.live.items() if name in records}
        with engine.errors_told():
            self.tiles = engine.table(name, tile_schema(flat.vectors.shape[1]))
            self._slides = engine.table(f"{name}.slides", slide_schema())

    def plan(self, *, is_ours: bool) -> MirrorPlan:
        """Compare the mirror with the library.

        Parameters
        ----------
        is_ours
            Whether the mirror is known to be that of this library, by its id.

        Raises
        ------
        UserError
            If that is not known, and none of its slides is in this one.
        """
        with self._engine.errors_told():
            rows = {row["fingerprint"]: row for row in self._slides.to_arrow().to_pylist()}
        if rows and not is_ours and not any(name in self._live for name in rows):
            raise UserError(
                f"The engine {self._engine.url!r} mirrors another library: none of its "
                f"{len(rows)} slides is in this one. Name another place, or delete that one first."
            )
        add, amend = [], []
        for name, segment in self._live.items():
            row = rows.get(name)
            if row is None or not row["is_whole"] or row["content"] != segment.content:
                add.append(name)
            elif row != _slide_row(self._records[name], segment, is_whole=True):
                amend.append(name)
        # What was begun may have tiles already: it is taken out before it is added.
        new = set(add)
        remove = [name for name in rows if name not in self._live or name in new]
        come = sum(self._live[name].rows for name in add)
        go = sum(int(rows[name]["tiles"]) for name in remove)
        return MirrorPlan(
            tuple(add), tuple(filter(is_fingerprint, remove)), tuple(amend), max(come, go)
        )

    def carry_out(
        self,
        plan: MirrorPlan,
        *,
        on_tiles: Callable[[int, int], None] = lambda done, total: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Do what a plan says; say whether it came to the end.

        Parameters
        ----------
        plan
            Made a moment ago.
        on_tiles
            Called with the tiles added and those due.
        should_stop
            Asked before each commit.
        """
        total, done = sum(self._live[name].rows for name in plan.add), 0
        with self._engine.errors_told():
            for names in _parts(plan.remove, _MOST_NAMED):
                if should_stop():
                    return False
                self._slides.update(one_of("fingerprint", names), values={"is_whole": False})
                self.tiles.delete(one_of("slide", names))
                self._slides.delete(one_of("fingerprint", names))
            for names in _parts(plan.amend, _MOST_NAMED):
                self._put(names, is_whole=True)
            for names in self._groups(plan.add):
                if should_stop():
                    return False
                self._put(names, is_whole=False)
                self.tiles.add(self._batches(names))
                self._put(names, is_whole=True)
                done += sum(self._live[name].rows for name in names)
                on_tiles(done, total)
        return True

    def check_count(self) -> int:
        """Return the number of tiles that are there.

        Raises
        ------
        UserError
            If it is not that of the library.
        """
        with self._engine.errors_told():
            count = int(self.tiles.count_rows())
        due = sum(one.rows for one in self._live.values())
        if count != due:
            raise UserError(
                f"The engine {self._engine.url!r} holds {count} tiles of this collection, the "
                f"library {due}: somebody else writes there. Name an empty place."
            )
        return count

    def _put(self, names: Sequence[str], *, is_whole: bool) -> None:
        import pyarrow as pa

        rows = [_slide_row(self._records[n], self._live[n], is_whole=is_whole) for n in names]
        merge = self._slides.merge_insert("fingerprint")
        merge = merge.when_matched_update_all().when_not_matched_insert_all()
        merge.execute(pa.Table.from_pylist(rows, schema=slide_schema()))

    def _groups(self, names: Sequence[str]) -> Iterator[list[str]]:
        """Give slides in groups that are committed together."""
        group: list[str] = []
        rows = 0
        for name in names:
            group.append(name)
            rows += self._live[name].rows
            if rows >= _GROUP_ROWS:
                yield group
                group, rows = [], 0
        if group:
            yield group

    def _batches(self, names: Sequence[str]) -> Any:
        """Return the tiles of slides as an Arrow table."""
        import pyarrow as pa

        schema = tile_schema(self._flat.vectors.shape[1])
        return pa.Table.from_batches([self._batch(self._live[n], schema) for n in names], schema)

    def _batch(self, one: Segment, schema: Any) -> Any:
        import pyarrow as pa

        rows = slice(one.start, one.start + one.rows)
        values = pa.array(np.ascontiguousarray(self._flat.vectors[rows]).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(values, self._flat.vectors.shape[1])
        tiles = self._flat.tiles[rows]
        columns = [pa.array(np.ascontiguousarray(tiles[name])) for name in schema.names[2:]]
        slide = pa.array([one.slide] * one.rows, pa.string())
        return pa.RecordBatch.from_arrays([vectors, slide, *columns], schema=schema)


def _slide_row(record: SlideRecord, segment: Segment, *, is_whole: bool) -> dict[str, Any]:
    return {
        "fingerprint": record.fingerprint,
        "path": record.path,
        "patient": record.patient,
        "width": record.dimensions[0],
        "height": record.dimensions[1],
        "mpp": record.mpp,
        "tiles": segment.rows,
        "content": segment.content,
        "is_whole": is_whole,
    }


def _parts(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
