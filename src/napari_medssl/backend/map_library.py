"""The rows of a map from a library of slides: the tiles of one of its collections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.library_place import Place, read_library
from napari_medssl.backend.map_pictures import SlidePlace, TilePictures
from napari_medssl.backend.map_rows import MapSource, check_rows
from napari_medssl.index.flat import Segment
from napari_medssl.index.library import ABOUT, COLLECTION
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.index.view import View, open_view
from napari_medssl.io.slides.finding import EMBEDDINGS
from napari_medssl.io.table_columns import Column, text_column

_BLOCK = 65_536
_LINES = 10_000  # names that are made at a time: one call for a million would hold up the window


def library_place(path: Path) -> tuple[Path, str] | None:
    """Return the library at a path and "", or that of a collection and its name; None for none."""
    if (path / ABOUT).is_file():
        return path, ""
    if path.name.endswith(EMBEDDINGS) and (path / COLLECTION).is_file():
        return path.absolute().parent, path.name.removesuffix(EMBEDDINGS)
    return None


def source_of_library(
    place: Place,
    encoder: str = "",
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> MapSource:
    """Return the tiles of a library.

    Tiles are called `slide.svs#x,y`; slides of one file name have their fingerprint besides.

    Parameters
    ----------
    place
        A folder, or a URL.
    encoder
        Of which collection, see `Library.collection`; "" for the only one.

    Raises
    ------
    UserError
        If there is no such library or collection, or fewer than two tiles in it.
    Cancelled
        If it was asked to stop.
    """
    library, problems = read_library(place, on_progress=on_progress, should_stop=should_stop)
    folder = library.collection(encoder)

    def on_slide(done: int, total: int) -> None:
        on_progress(Progress(done, total, "reading slides"))

    view = open_view(folder, on_slide, should_stop)
    segments = [one for one in view.flat.live.values() if one.slide in view.records]
    segments.sort(key=lambda one: (view.records[one.slide].path, one.slide))
    if should_stop():
        raise Cancelled("Stopped; the library stays as it was.")
    embeddings = _embeddings(view, segments, should_stop)
    names, columns, pictures = _rows(view, segments)
    failures = (*(("library", line) for line in problems), *view.problems)
    source = MapSource(
        names, embeddings, columns, pictures, f"encoder {folder.set_up.encoder}", failures
    )
    return check_rows(source, str(place))


def _embeddings(
    view: View, segments: Sequence[Segment], should_stop: ShouldStop
) -> NDArray[np.float32]:
    """Return the embeddings of slides, float32; in the file they are float16."""
    total = sum(one.rows for one in segments)
    made = np.empty((total, view.flat.vectors.shape[1]), np.float32)
    start = 0
    for segment in segments:
        for first in range(0, segment.rows, _BLOCK):
            if should_stop():
                raise Cancelled("Stopped; the library stays as it was.")
            rows = min(_BLOCK, segment.rows - first)
            at = segment.start + first
            block = np.asarray(view.flat.vectors[at : at + rows], np.float32)
            made[start : start + rows] = block / np.linalg.norm(block, axis=1, keepdims=True)
            start += rows
    return made


def _rows(
    view: View, segments: Sequence[Segment]
) -> tuple[tuple[str, ...], dict[str, Column], TilePictures]:
    records = [view.records[one.slide] for one in segments]
    counts = [one.rows for one in segments]
    called = _slide_names(records)
    numbers = np.repeat(np.arange(len(segments), dtype=np.int32), counts)
    parts = [view.flat.tiles[one.start : one.start + one.rows] for one in segments]
    tiles = np.concatenate([np.asarray(part) for part in parts]) if parts else view.flat.tiles[:0]
    locations = np.stack([tiles["x"], tiles["y"]], axis=1).astype(np.int64)
    sizes = tiles["size"].astype(np.int64)
    names: list[str] = []
    for start in range(0, len(numbers), _LINES):
        rows = slice(start, start + _LINES)
        found = zip(numbers[rows].tolist(), locations[rows].tolist(), strict=True)
        names += [f"{called[number]}#{x},{y}" for number, (x, y) in found]
    columns: dict[str, Column] = {
        "slide": text_column(called)[numbers],
        "patient": text_column([record.patient for record in records])[numbers],
        "x": locations[:, 0],
        "y": locations[:, 1],
        "size": sizes,
        "tissue": tiles["tissue"].astype(np.float64),
    }
    if not any(record.patient for record in records):
        del columns["patient"]
    places = [
        SlidePlace(record.path, record.fingerprint, name)
        for record, name in zip(records, called, strict=True)
    ]
    return tuple(names), columns, TilePictures(places, numbers, locations, sizes)


def _slide_names(records: Sequence[SlideRecord]) -> list[str]:
    """Return the file names of slides, with the fingerprint where two are the same."""
    names = [record.path.replace("\\", "/").rstrip("/").rpartition("/")[2] for record in records]
    times = Counter(names)
    return [
        name if times[name] == 1 else f"{name}~{record.fingerprint[-8:]}"
        for name, record in zip(names, records, strict=True)
    ]
