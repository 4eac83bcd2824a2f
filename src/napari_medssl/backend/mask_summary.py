"""The classes of many masks in one table: mean, standard deviation and number of images of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.mask_areas import (
    ClassArea,
    MaskToMeasure,
    MeasuredMask,
    measure_mask,
    rounded_mm2,
)
from napari_medssl.io.csv_files import write_csv

SUMMARY_HEADER = (
    "class", "name", "images", "images_with_it", "area_px_mean", "area_px_sd", "images_in_mm2",
    "area_mm2_mean", "area_mm2_sd", "part_of_image_mean", "part_of_image_sd", "objects_mean",
    "objects_sd", "objects", "object_px_mean",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of `count` values.

    `mean` is None of no values; `sd`, that of a sample (count - 1), is None of fewer than two.
    """

    count: int
    mean: float | None
    sd: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return that of some values."""
        known = np.fromiter(values, np.float64)
        mean = float(known.mean()) if len(known) else None
        return cls(len(known), mean, float(known.std(ddof=1)) if len(known) > 1 else None)


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """A class over all masks that may have it; a mask without a pixel of it counts as 0.

    Attributes
    ----------
    number, name
        Its number, and what it is called: masks that call a number by another name are apart.
    present
        Masks that have a pixel of it.
    pixels, part, objects
        Over masks: pixels, part of the image, and how many objects.
    mm2
        The same of those masks whose size of a pixel is known.
    object_count, object_mean
        Objects of all masks together, and the pixels of one of them; None if there is none.
    """

    number: int
    name: str
    present: int
    pixels: Spread
    part: Spread
    objects: Spread
    mm2: Spread
    object_count: int
    object_mean: float | None


@dataclass(frozen=True, slots=True)
class SummaryJob:
    """Masks to measure together, and the table to write."""

    masks: tuple[MaskToMeasure, ...]
    out: Path


def summarize(measured: Iterable[MeasuredMask]) -> tuple[ClassSummary, ...]:
    """Return the classes of masks by number and name."""
    found: dict[tuple[int, str], list[ClassArea]] = {}
    for one in measured:
        for area in one.areas.classes:
            found.setdefault((area.number, one.name(area.number)), []).append(area)
    return tuple(_summary(number, name, found[number, name]) for number, name in sorted(found))


def _summary(number: int, name: str, areas: Sequence[ClassArea]) -> ClassSummary:
    objects, pixels = sum(a.objects for a in areas), sum(a.pixels for a in areas)
    return ClassSummary(
        number,
        name,
        sum(a.pixels > 0 for a in areas),
        Spread.of(a.pixels for a in areas),
        Spread.of(a.part_of_image for a in areas),
        Spread.of(a.objects for a in areas),
        Spread.of(a.mm2 for a in areas if a.mm2 is not None),
        objects,
        pixels / objects if objects else None,
    )


def write_summary(out: Path, summary: Sequence[ClassSummary]) -> None:
    """Write the classes as CSV, a row each; UserError if that cannot be."""
    rows = []
    for one in summary:
        pixels = (one.pixels.mean, one.pixels.sd, one.mm2.count)
        others = (
            one.part.mean, one.part.sd, one.objects.mean, one.objects.sd, one.object_count,
            one.object_mean,
        )  # fmt: skip
        mm2 = (rounded_mm2(one.mm2.mean), rounded_mm2(one.mm2.sd))
        shown = (*_rounded(pixels), *mm2, *_rounded(others))
        rows.append((one.number, one.name, one.pixels.count, one.present, *shown))
    write_csv(out, SUMMARY_HEADER, rows)


def _rounded(values: Iterable[float | None]) -> list[float | str]:
    return ["" if value is None else round(value, 6) for value in values]


def measure_summary(
    job: SummaryJob, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> None:
    """Measure masks and write the table of their classes.

    Raises
    ------
    UserError
        If a mask cannot be read or the table cannot be written.
    Cancelled
        If `should_stop` said so; nothing is written then.
    """
    measured = []
    for done, one in enumerate(job.masks):
        if should_stop():
            raise Cancelled("Stopped; no table was written.")
        on_progress(Progress(done, len(job.masks), one.image))
        measured.append(measure_mask(one)[0])
    write_summary(job.out, summarize(measured))
