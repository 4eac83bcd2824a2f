"""A collection as it was at one moment, and the searches of it. Safe in threads."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.index.approximate import ApproximateSearch, open_approximate
from napari_medssl.index.exact import ExactSearch, Found, Queries, merged, search_rows
from napari_medssl.index.flat import Flat, Segment
from napari_medssl.index.flat_update import OnSlide, open_flat
from napari_medssl.index.library import CollectionFolder
from napari_medssl.index.results import Hit, Tile
from napari_medssl.index.slide_record import SlideRecord

_FEW_ROWS = 50_000  # if no more are left to search in, they are compared one by one
_MEAN_ROWS = 20_000  # rows that the mean of a library is taken from


@dataclass(frozen=True)
class View:
    """A collection as it was at one moment; searches under way keep theirs."""

    flat: Flat
    records: Mapping[str, SlideRecord]
    approximate: ApproximateSearch | None
    problems: tuple[tuple[str, str], ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def starts(self) -> list[int]:
        """First row of each segment."""
        return [one.start for one in self.flat.segments]

    @cached_property
    def exact(self) -> ExactSearch | None:
        """Exact search of the rows that the index does not hold; None if it holds all."""
        first = 0 if self.approximate is None else self.approximate.rows
        if first == len(self.flat.vectors):
            return None
        return ExactSearch(self.flat.vectors, slice(first, len(self.flat.vectors)))

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """Mean embedding, shape (D,), from rows spread over all."""
        vectors = self.flat.vectors
        if not len(vectors):
            return np.zeros(vectors.shape[1], np.float32)
        part = vectors[:: max(1, len(vectors) // _MEAN_ROWS)]
        mean: NDArray[np.float32] = np.asarray(part, np.float32).mean(axis=0)
        return mean

    def engine(self) -> ExactSearch | None:
        """Return `exact`, made once."""
        with self._lock:  # or two first searches would both make one
            return self.exact

    def segment_of(self, row: int) -> Segment:
        """Return the segment of a row."""
        return self.flat.segments[bisect.bisect_right(self.starts, row) - 1]


def open_view(
    folder: CollectionFolder,
    on_slide: OnSlide = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> View:
    """Open a collection as it is now; see `flat_update.open_flat`."""
    manifests, bad = folder.manifests()
    flat, damaged = open_flat(folder, manifests, on_slide=on_slide, should_stop=should_stop)
    records = {name: manifest.record for name, manifest in manifests.items()}
    return View(flat, records, open_approximate(folder.folder, flat), (*bad, *damaged))


def rows_of(view: View, slide: str) -> slice:
    """Return the rows of a slide; `UserError` if it is not there."""
    segment = view.flat.live.get(slide)
    if segment is None:
        raise UserError(
            f"The slide {slide!r} is not in the library. Add it with "
            "`medssl index SLIDE --library DIR`."
        )
    return slice(segment.start, segment.start + segment.rows)


def kept_rows(
    view: View, slides: frozenset[str], patients: frozenset[str]
) -> NDArray[np.bool_] | None:
    """Return which rows may be found, None for all."""

    def is_out(one: Segment) -> bool:
        record = view.records.get(one.slide)
        patient = "" if record is None else record.patient
        return one.is_gone or one.slide in slides or (patient != "" and patient in patients)

    out = [one for one in view.flat.segments if is_out(one)]
    if not out:
        return None
    keep = np.ones(len(view.flat.vectors), bool)
    for one in out:
        keep[one.start : one.start + one.rows] = False
    return keep


def find(
    view: View, queries: Queries, top: int, spare: int, keep: NDArray[np.bool_] | None
) -> tuple[Found, float]:
    """Return the `top` nearest rows of each query and `spare` more, and the recall of that."""
    if keep is not None and view.approximate is not None and keep.sum() <= _FEW_ROWS:
        return search_rows(view.flat.vectors, np.flatnonzero(keep), queries, top + spare), 1.0
    parts, recall = [], 1.0
    if view.approximate is not None:
        parts.append(view.approximate.search(queries, top, keep, spare=spare))
        recall = view.approximate.reach(top).recall
    engine = view.engine()
    if engine is not None:
        parts.append(engine.search(queries, top + spare, keep))
    return merged(parts, top + spare), recall


def make_hits(
    view: View,
    similarities: NDArray[np.float32],
    rows: NDArray[np.int64],
    unwanted: set[int],
    top: int,
) -> tuple[Hit, ...]:
    """Return the hits of one query without the unwanted rows, at most `top`."""
    hits = []
    for similarity, row in zip(similarities.tolist(), rows.tolist(), strict=True):
        if row < 0 or row in unwanted:
            continue
        tile = make_tile(view.segment_of(row).slide, view.flat.tiles[row])
        hits.append(Hit(tile, min(1.0, max(-1.0, similarity))))
    return tuple(hits[:top])


def make_tile(slide: str, row: np.void) -> Tile:
    """Return a row of the tile table as a value."""
    return Tile(slide, int(row["x"]), int(row["y"]), int(row["size"]), float(row["tissue"]))
