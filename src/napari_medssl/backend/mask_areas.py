"""How large the classes of masks are, in pixels, mm² and parts, and how many objects they form."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.mask_objects import object_sizes
from napari_medssl.io.class_formats import read_class_mask
from napari_medssl.io.csv_files import write_csv
from napari_medssl.io.field_of_view import small_field_of_view
from napari_medssl.io.images import ImageRef, read_image

HEADER = (
    "image", "class", "name", "area_px", "area_mm2", "part_of_image",
    "field_of_view_px", "part_of_field_of_view", "objects", "object_px_mean", "object_px_median",
    "object_mm2_mean", "object_mm2_median", "made_by",
)  # fmt: skip
_BAND = 100_000  # pixels that are counted at a time: numpy holds Python's lock meanwhile
View = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClassArea:
    """A class of a mask.

    Attributes
    ----------
    number, pixels
        Its number, and how many pixels have it.
    mm2
        How many mm² they are; None if the size of a pixel is not known.
    part_of_image, part_of_view
        Part of all pixels, and part of the field of view that it covers, 0 to 1; the latter None
        if the field of view is not known.
    objects
        How many objects its pixels form, see `backend.mask_objects`.
    object_mean, object_median
        Pixels of an object; None if there is none.
    """

    number: int
    pixels: int
    mm2: float | None
    part_of_image: float
    part_of_view: float | None
    objects: int = 0
    object_mean: float | None = None
    object_median: float | None = None

    def in_mm2(self, pixels: float | None) -> float | None:
        """Return an area of this mask in mm²; None if it or the size of a pixel is not known."""
        if pixels is None or self.mm2 is None or not self.pixels:
            return None
        return pixels * self.mm2 / self.pixels


@dataclass(frozen=True, slots=True)
class MaskAreas:
    """The classes of a mask by number, and the pixels of the field of view, None if not known."""

    classes: tuple[ClassArea, ...]
    view_pixels: int | None


@dataclass(frozen=True, slots=True)
class MaskToMeasure:
    """A mask of which the areas are wanted.

    Attributes
    ----------
    image
        Name of the image.
    mask
        Class numbers, uint8, shape (Y, X), or the file, or slice of a volume, that holds them.
    classes
        Names of classes by number; each has a row, also if no pixel has it.
    spacing_mm
        Distance of pixels `(x, y)`, None where it is not known.
    made_by
        What made it, in words.
    view
        The field of view at any size, or where the image is, to find it there; None for neither.
    as_foreground
        Whether all but 0 of a file is class 1, as where its values number objects.
    """

    image: str
    mask: NDArray[np.uint8] | ImageRef | Path
    classes: Mapping[int, str]
    spacing_mm: tuple[float, float] | None
    made_by: str
    view: View | ImageRef | None = None
    as_foreground: bool = False


@dataclass(frozen=True, slots=True)
class AreasReport:
    """A table that was written: its rows, why the field of view of some images lacks, the masks."""

    rows: int
    failures: tuple[str, ...]
    measured: tuple[MeasuredMask, ...] = ()


def class_areas(
    mask: NDArray[np.uint8],
    spacing_mm: tuple[float, float] | None,
    listed: Collection[int] = (),
    view: View | None = None,
) -> MaskAreas:
    """Return the area of each class of a mask but 0.

    Parameters
    ----------
    mask
        Class numbers, uint8, shape (Y, X).
    spacing_mm
        Distance of pixels `(x, y)`, None where it is not known.
    listed
        Classes that are listed even if no pixel has them.
    view
        The field of view, of any size: it is stretched over the mask. None if it is not known.
    """
    counts, inside, view_pixels = np.zeros(256, np.int64), np.zeros(256, np.int64), 0
    for band, seen in _bands(mask, view):
        counts += np.bincount(band.ravel(), minlength=256)
        if seen is not None:
            inside += np.bincount(band[seen], minlength=256)
            view_pixels += int(np.count_nonzero(seen))
    unit = None if spacing_mm is None else spacing_mm[0] * spacing_mm[1]
    sizes = object_sizes(mask)
    classes = tuple(
        ClassArea(
            number,
            int(counts[number]),
            None if unit is None else float(counts[number] * unit),
            float(counts[number] / max(1, mask.size)),
            float(inside[number] / view_pixels) if view_pixels else None,
            *_of_objects(sizes.get(number)),
        )
        for number in range(1, 256)
        if counts[number] or number in listed
    )
    return MaskAreas(classes, view_pixels or None)


def _of_objects(sizes: NDArray[np.int64] | None) -> tuple[int, float | None, float | None]:
    """Return how many objects there are, and mean and median of their pixels."""
    if sizes is None or not len(sizes):
        return 0, None, None
    return len(sizes), float(sizes.mean()), float(np.median(sizes))


def _bands(
    mask: NDArray[np.uint8], view: View | None
) -> Iterator[tuple[NDArray[np.uint8], View | None]]:
    """Give a mask in bands of rows, each with where the field of view lies in it."""
    height, width = mask.shape
    step = max(1, _BAND // max(1, width))
    across = None if view is None else np.arange(width) * view.shape[1] // width
    for top in range(0, height, step):
        band = mask[top : top + step]
        if view is None:
            yield band, None
            continue
        down = np.arange(top, top + len(band)) * view.shape[0] // height
        yield band, view[down][:, across]


@dataclass(frozen=True, slots=True)
class MeasuredMask:
    """The classes of a mask that was measured, with what it is of."""

    of: MaskToMeasure
    areas: MaskAreas

    def name(self, number: int) -> str:
        """Return what a class is called."""
        return self.of.classes.get(number, f"class {number}")


def measure_mask(one: MaskToMeasure) -> tuple[MeasuredMask, str]:
    """Return the areas of a mask, and why its field of view cannot be found; "" for no reason.

    Raises
    ------
    UserError
        If the mask cannot be read.
    """
    mask = one.mask
    if not isinstance(mask, np.ndarray):
        mask = read_class_mask(mask, as_foreground=one.as_foreground)[0]
    view, failure = None, ""
    try:
        view = _view_of(one)
    except UserError as error:
        failure = str(error)
    return MeasuredMask(one, class_areas(mask, one.spacing_mm, one.classes, view)), failure


def write_areas(
    out: Path,
    masks: Sequence[MaskToMeasure],
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> AreasReport:
    """Measure masks and write a CSV table, a row for each class of each image.

    An image that cannot be read leaves the columns of the field of view empty.

    Raises
    ------
    UserError
        If a mask cannot be read or the file cannot be written.
    Cancelled
        If `should_stop` said so; nothing is written then.
    """
    measured: list[MeasuredMask] = []
    failures: list[str] = []
    for done, one in enumerate(masks):
        if should_stop():
            raise Cancelled("Stopped; no table was written.")
        on_progress(Progress(done, len(masks), one.image))
        found, failure = measure_mask(one)
        measured.append(found)
        failures += [failure] * bool(failure)
    rows = write_measured(out, measured)
    return AreasReport(rows, tuple(failures), tuple(measured))


def write_measured(out: Path, measured: Sequence[MeasuredMask]) -> int:
    """Write the table of areas of masks that were measured; return how many rows it has."""
    rows = [row for found in measured for row in _rows(found)]
    write_csv(out, HEADER, rows)
    return len(rows)


def _rows(found: MeasuredMask) -> Iterator[tuple[str | int | float, ...]]:
    """Give the rows of a mask in the table of areas, in the order of `HEADER`."""
    seen = "" if found.areas.view_pixels is None else found.areas.view_pixels
    for area in found.areas.classes:
        sizes = (area.pixels, rounded_mm2(area.mm2), _rounded(area.part_of_image))
        objects = (area.objects, _rounded(area.object_mean), _rounded(area.object_median))
        in_mm2 = (area.in_mm2(area.object_mean), area.in_mm2(area.object_median))
        yield (
            found.of.image,
            area.number,
            found.name(area.number),
            *sizes,
            seen,
            _rounded(area.part_of_view),
            *objects,
            *(rounded_mm2(value) for value in in_mm2),
            found.of.made_by,
        )


def _view_of(one: MaskToMeasure) -> View | None:
    if not isinstance(one.view, ImageRef):
        return one.view
    return small_field_of_view(read_image(one.view, robust=True))


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 6)


def rounded_mm2(value: float | None) -> float | str:
    """Return an area for a table: six places, and six digits where it is far below 1 mm²."""
    if not value:
        return "" if value is None else 0.0
    return round(value, max(6, 5 - math.floor(math.log10(abs(value)))))
