"""Search of large libraries: faiss's inverted lists over fp16 values, with measured recall.

The vectors are grouped around k-means centres; a query is compared with the vectors of its
`nprobe` nearest centres only. How many are needed depends on the data: vectors that do not cluster
need many times as many as those that do. So `nprobe` is raised until the ten true neighbours of
held-out queries are found, and what is reported was measured with queries that it was not chosen
by: see `index.recall`.

The index is a cache, `cache/approximate-7.faiss` with `.json` beside it. It holds the first rows of
the flat cache; those that came since are searched exactly beside it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.index.exact import ExactSearch, Found, Queries, forget_pages, selector
from napari_medssl.index.flat import CACHE, Flat
from napari_medssl.index.recall import NEIGHBOURS, HeldOut, calibrated
from napari_medssl.io.files import replace_whole, write_whole

FORMAT = 1
EXACT_MS = 10.0
"""An index is made when the median exact search takes longer: where other programs run too, one in
twenty takes twice the median, and 20 ms is what a person does not notice."""

_QUERIES = 256  # to choose nprobe by, and as many again to report
_PER_CENTRE = 40  # rows that k-means sees for each centre
_MOST_TAIL = 0.1  # part of the rows beside the index from which it is made again
_BLOCK_ROWS = 65_536
_LEAST_ROWS = 20_000
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Reach:
    """How many lists are looked into for up to `top` neighbours, and the recall of that."""

    top: int
    nprobe: int
    recall: float


class ApproximateSearch:
    """An index over the first rows of a flat cache. Safe in threads.

    Attributes
    ----------
    rows
        How many rows it holds.
    reaches
        As measured, see `index.recall`; for more neighbours than the last one says, it holds.
    """

    def __init__(self, index: Any, rows: int, reaches: tuple[Reach, ...]) -> None:
        self._index, self.rows, self.reaches = index, rows, reaches

    def reach(self, top: int) -> Reach:
        """Return what is done for the `top` nearest."""
        return next((one for one in self.reaches if top <= one.top), self.reaches[-1])

    def search(
        self,
        queries: Queries,
        top: int,
        keep: NDArray[np.bool_] | None = None,
        *,
        spare: int = 0,
    ) -> Found:
        """Return the nearest rows as `ExactSearch.search` does, `top` and `spare` more.

        Where much is left out, the nearest of the rest are farther away: as many times as many
        lists are looked into as there are rows for each that is kept.
        """
        import faiss

        nprobe = self.reach(top).nprobe
        chosen = faiss.SearchParametersIVF()
        if keep is not None:
            held = selector(keep[: self.rows])  # `chosen` does not keep it alive
            chosen.sel = held
            nprobe = math.ceil(nprobe * self.rows / max(int(keep[: self.rows].sum()), 1))
        chosen.nprobe = min(nprobe, self._index.nlist)
        similarities, rows = self._index.search(queries, top + spare, params=chosen)
        return similarities, rows


def open_approximate(collection: Path, flat: Flat) -> ApproximateSearch | None:
    """Return the index of a flat cache, None if there is none that fits it."""
    if flat.generation < 0:
        return None
    folder = collection / CACHE
    try:
        about = json.loads(_about_file(folder, flat.generation).read_bytes())
        rows = int(about["rows"])
        reaches = tuple(
            Reach(int(one["top"]), int(one["nprobe"]), float(one["recall"]))
            for one in about["reaches"]
        )
        if about["format"] != FORMAT or about["key"] != _key(flat, rows):
            return None
        index = _read_index(_index_file(folder, flat.generation))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError):
        return None  # it is made again
    if index.ntotal != rows or index.d != flat.vectors.shape[1] or not reaches:
        return None
    return ApproximateSearch(index, rows, reaches)


def needs_index(collection: Path, flat: Flat) -> bool:
    """Say whether exact search is too slow here and the index is missing or has fallen behind."""
    rows = len(flat.vectors)
    if flat.generation < 0 or rows < _LEAST_ROWS or exact_ms(flat) <= EXACT_MS:
        return False
    found = open_approximate(collection, flat)
    return found is None or rows - found.rows > _MOST_TAIL * rows


def exact_ms(flat: Flat) -> float:
    """Return about how long an exact search takes on this machine, in ms, from a part of it."""
    rows = len(flat.vectors)
    part = slice(0, min(rows, 2 * _BLOCK_ROWS))
    engine = ExactSearch(flat.vectors, part)
    query = np.asarray(flat.vectors[:1], np.float32)
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        engine.search(query, NEIGHBOURS[0])
        taken.append(time.perf_counter() - start)
    return sorted(taken)[3] * 1000 * rows / max(part.stop, 1)


def build_approximate(
    collection: Path,
    flat: Flat,
    *,
    on_step: Callable[[int, int, str], None] = lambda done, total, what: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ApproximateSearch | None:
    """Make the index of a flat cache and measure it; None if told to stop.

    Parameters
    ----------
    collection
        Folder of the collection; the index goes to its cache.
    flat
        What to index; not in memory only.
    on_step
        Called with rows done, rows in all, and words.
    should_stop
        Asked between blocks of rows; k-means itself takes some seconds at a million rows.

    Raises
    ------
    UserError
        If the disk refuses.
    """
    import faiss

    folder = collection / CACHE
    rows = len(flat.vectors)
    _check_space(folder, flat)
    queries, training = _samples(rows)
    on_step(0, rows, "finding centres")
    index = _trained(flat, training)
    for start in range(0, rows, _BLOCK_ROWS):
        if should_stop():
            return None
        index.add(np.asarray(flat.vectors[start : start + _BLOCK_ROWS], np.float32))
        on_step(min(start + _BLOCK_ROWS, rows), rows, "sorting embeddings")
    truth = HeldOut(flat, queries)
    if not truth.find(on_step, should_stop):
        return None
    forget_pages(flat.vectors)
    on_step(rows, rows, "measuring recall")
    measured = calibrated(index, truth)
    with replace_whole(_index_file(folder, flat.generation)) as temporary:
        try:
            faiss.write_index(index, str(temporary))
        except RuntimeError as error:  # faiss's word for every error of a disk
            raise OSError(errno.EIO, "the disk is full or refuses") from error
    about = {
        "format": FORMAT,
        "key": _key(flat, rows),
        "rows": rows,
        "lists": index.nlist,
        "reaches": [
            {
                "top": one.top,
                "nprobe": one.nprobe,
                "recall": round(one.value, 5),
                "recall_all_tiles": round(one.all_tiles, 5),
                "recall_other_slides": round(one.other_slides, 5),
            }
            for one in measured
        ],
        "queries": len(queries) // 2,
    }
    write_whole(_about_file(folder, flat.generation), json.dumps(about, indent=1))
    _delete_others(folder, flat.generation)
    return open_approximate(collection, flat)


def _check_space(folder: Path, flat: Flat) -> None:
    """Raise `UserError` if the disk cannot hold the index."""
    rows, dim = flat.vectors.shape
    due = rows * (2 * dim + 8) + list_count(rows) * 4 * dim
    free = shutil.disk_usage(folder).free
    if free < due:
        raise UserError(
            f"The disk of the library has {free / 1e6:.0f} MB free; the index of {rows} tiles "
            f"needs {due / 1e6:.0f} MB. Until there is room, every search compares all tiles."
        )


def _samples(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return held-out queries and rows to train on, which share none; the same each time."""
    rng = np.random.default_rng(rows)
    due = min(rows, 2 * _QUERIES + _PER_CENTRE * list_count(rows))
    drawn = rng.choice(rows, due, replace=False)
    return np.sort(drawn[: 2 * _QUERIES]), np.sort(drawn[2 * _QUERIES :])


def list_count(rows: int) -> int:
    """Return the number of lists: about two roots of the rows, a power of two."""
    return int(2 ** round(math.log2(max(16.0, 2 * math.sqrt(rows)))))


def _trained(flat: Flat, training: NDArray[np.int64]) -> Any:
    import faiss

    dim = flat.vectors.shape[1]
    centres = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFScalarQuantizer(
        centres,
        dim,
        list_count(len(flat.vectors)),
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # no residuals: the fp16 values of the slides as they are
    )
    index.cp.niter, index.cp.spherical, index.cp.seed = _ROUNDS, True, 0
    index.cp.min_points_per_centroid = 1
    index.train(np.asarray(flat.vectors[training], np.float32))
    return index


def _read_index(path: Path) -> Any:
    """Return the index, its lists mapped into memory where the system can."""
    import faiss

    if sys.platform == "win32":
        return faiss.read_index(str(path))
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    lists = faiss.downcast_InvertedLists(index.invlists)
    # By default 32 threads are started for each query, to wake up the pages that it will read.
    lists.prefetch_nthread = 0
    return index


def _key(flat: Flat, rows: int) -> str:
    """Return a hash of which slides' embeddings the first rows are."""
    digest = hashlib.blake2b(digest_size=16)
    for one in flat.segments:
        if one.start < rows:
            digest.update(f"{one.slide} {one.content} {one.start} {one.rows}\n".encode())
    return digest.hexdigest()


def _index_file(folder: Path, generation: int) -> Path:
    return folder / f"approximate-{generation}.faiss"


def _about_file(folder: Path, generation: int) -> Path:
    return folder / f"approximate-{generation}.json"


def _delete_others(folder: Path, generation: int) -> None:
    for path in folder.glob("approximate-*"):
        if path.stem != f"approximate-{generation}":
            with suppress(OSError):
                path.unlink()
