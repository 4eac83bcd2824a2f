"""How much of each slide of a library is of one kind: tiles and area above a similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.similarity_map import similarity_map
from napari_medssl.index.collection import SearchCollection
from napari_medssl.io.csv_files import write_csv


@dataclass(frozen=True, slots=True)
class SlideCount:
    """What a slide holds.

    Attributes
    ----------
    slide
        Its fingerprint.
    tiles
        Tiles of it in the library.
    count
        Those of at least the similarity.
    area_mm2
        Area of these in mm²; None where the slide's microns per pixel are not known.
    best
        Greatest similarity; NaN without a tile.
    """

    slide: str
    tiles: int
    count: int
    area_mm2: float | None
    best: float


def count_in_slides(
    collection: SearchCollection,
    direction: NDArray[np.floating],
    threshold: float,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> list[SlideCount]:
    """Return the counts of every slide, those with the most first.

    Parameters
    ----------
    collection
        What is searched.
    direction
        Vector of the kind, shape (D,).
    threshold
        Least similarity that counts.

    Raises
    ------
    Cancelled
        If it was asked to stop.
    """
    counts, slides = [], collection.slides
    for done, record in enumerate(slides):
        if should_stop():
            raise Cancelled
        on_progress(Progress(done, len(slides), "counting tiles"))
        scores = collection.score_slide(direction, record.fingerprint)
        count = int((scores.similarity >= threshold).sum())
        area = None
        if record.mpp and len(scores.tiles):
            made = similarity_map(scores)
            area = made.area_mm2(count, (record.mpp, record.mpp))
        best = float(scores.similarity.max()) if len(scores.tiles) else float("nan")
        counts.append(SlideCount(record.fingerprint, len(scores.tiles), count, area, best))
    return sorted(counts, key=lambda one: one.count, reverse=True)


def count_examples(
    collection: SearchCollection, vectors: NDArray[np.float32], signs: list[bool], threshold: float
) -> list[SlideCount]:
    """Return the counts of all slides for a set of examples; blocks.

    Parameters
    ----------
    collection
        What is searched.
    vectors, signs
        The embeddings of the examples, shape (N, D), and whether each is wanted.
    threshold
        Least similarity that counts.
    """
    wanted = np.array(signs)
    direction = collection.combine_vectors(vectors[wanted], vectors[~wanted])
    return count_in_slides(collection, direction, threshold)


def write_counts(
    counts: Sequence[SlideCount], names: Sequence[str], threshold: float, out: Path
) -> None:
    """Write a CSV table with one row a slide, whole or not at all.

    Parameters
    ----------
    counts, names
        The counts, and the name of each slide as it is to be shown.
    threshold
        Least similarity that counted.
    out
        The file.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    header = ("slide", "tiles", "similar_tiles", "area_mm2", "greatest_similarity", "threshold")
    rows = [
        (
            name,
            one.tiles,
            one.count,
            "" if one.area_mm2 is None else round(one.area_mm2, 6),
            "" if np.isnan(one.best) else round(one.best, 6),
            round(threshold, 6),
        )
        for one, name in zip(counts, names, strict=True)
    ]
    write_csv(out, header, rows)
