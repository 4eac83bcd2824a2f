"""How large the classes of masks are: pixels, mm² where known, parts of image and field of view."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.io.class_files import read_class_file
from napari_medssl.io.csv_files import write_csv
from napari_medssl.io.field_of_view import small_field_of_view
from napari_medssl.io.images import ImageRef, read_image

HEADER = (
    "image", "class", "name", "area_px", "area_mm2", "part_of_image",
    "field_of_view_px", "part_of_field_of_view", "made_by",
)  # fmt: skip
_BAND = 500_000  # pixels that are counted at a time: numpy holds Python's lock meanwhile
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
    """

    number: int
    pixels: int
    mm2: float | None
    part_of_image: float
    part_of_view: float | None


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
        Class numbers, uint8, shape (Y, X), or the file that holds them.
    classes
        Names of classes by number; each has a row, also if no pixel has it.
    spacing_mm
        Distance of pixels `(x, y)`, None where it is not known.
    made_by
        What made it, in words.
    view
        The field of view at any size, or where the image is, to find it there; None for neither.
    """

    image: str
    mask: NDArray[np.uint8] | Path
    classes: Mapping[int, str]
    spacing_mm: tuple[float, float] | None
    made_by: str
    view: View | ImageRef | None = None


@dataclass(frozen=True, slots=True)
class AreasReport:
    """A table that was written: its rows, and why the field of view of some images lacks."""

    rows: int
    failures: tuple[str, ...]


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
    classes = tuple(
        ClassArea(
            number,
            int(counts[number]),
            None if unit is None else float(counts[number] * unit),
            float(counts[number] / max(1, mask.size)),
            float(inside[number] / view_pixels) if view_pixels else None,
        )
        for number in range(1, 256)
        if counts[number] or number in listed
    )
    return MaskAreas(classes, view_pixels or None)


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


def write_areas(
    out: Path, masks: Iterable[MaskToMeasure], *, should_stop: ShouldStop = never
) -> AreasReport:
    """Write the areas of masks as CSV, a row for each class of each image.

    An image that cannot be read leaves the columns of the field of view empty.

    Raises
    ------
    UserError
        If a mask cannot be read or the file cannot be written.
    Cancelled
        If `should_stop` said so; nothing is written then.
    """
    rows: list[tuple[str | int | float, ...]] = []
    failures: list[str] = []
    for one in masks:
        if should_stop():
            raise Cancelled("Stopped; no table was written.")
        mask = read_class_file(one.mask) if isinstance(one.mask, Path) else one.mask
        try:
            view = _view_of(one)
        except UserError as error:
            failures.append(str(error))
            view = None
        found = class_areas(mask, one.spacing_mm, one.classes, view)
        for area in found.classes:
            name = one.classes.get(area.number, f"class {area.number}")
            sizes = (area.pixels, _rounded(area.mm2), _rounded(area.part_of_image))
            seen = ("" if found.view_pixels is None else found.view_pixels,)
            parts = (*sizes, *seen, _rounded(area.part_of_view))
            rows.append((one.image, area.number, name, *parts, one.made_by))
    write_csv(out, HEADER, rows)
    return AreasReport(len(rows), tuple(failures))


def _view_of(one: MaskToMeasure) -> View | None:
    if not isinstance(one.view, ImageRef):
        return one.view
    return small_field_of_view(read_image(one.view, robust=True))


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 6)
