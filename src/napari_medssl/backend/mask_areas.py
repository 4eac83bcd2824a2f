"""How large the classes of masks are, in pixels and in mm² where the size of a pixel is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.io.class_files import read_class_file
from napari_medssl.io.csv_files import write_csv

HEADER = ("image", "class", "name", "area_px", "area_mm2", "part_of_image", "made_by")


@dataclass(frozen=True, slots=True)
class ClassArea:
    """A class of a mask: its number, its pixels, and how many mm² they are, if that is known."""

    number: int
    pixels: int
    mm2: float | None


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
        Names of classes 1, 2 and so on.
    spacing_mm
        Distance of pixels `(x, y)`, None where it is not known.
    made_by
        What made it, in words.
    """

    image: str
    mask: NDArray[np.uint8] | Path
    classes: tuple[str, ...]
    spacing_mm: tuple[float, float] | None
    made_by: str


def class_areas(
    mask: NDArray[np.uint8], spacing_mm: tuple[float, float] | None, least: int = 0
) -> tuple[ClassArea, ...]:
    """Return the area of each class of a mask but 0, by number.

    Parameters
    ----------
    mask
        Class numbers, uint8, shape (Y, X).
    spacing_mm
        Distance of pixels `(x, y)`, None where it is not known.
    least
        Classes up to this one are listed even if no pixel has them.
    """
    counts = np.bincount(mask.ravel(), minlength=256)
    unit = None if spacing_mm is None else spacing_mm[0] * spacing_mm[1]
    return tuple(
        ClassArea(number, int(counts[number]), None if unit is None else counts[number] * unit)
        for number in range(1, 256)
        if counts[number] or number <= least
    )


def write_areas(
    out: Path, masks: Iterable[MaskToMeasure], *, should_stop: ShouldStop = never
) -> int:
    """Write the areas of masks as CSV, a row for each class of each image; return the rows.

    Raises
    ------
    UserError
        If a mask cannot be read or the file cannot be written.
    Cancelled
        If `should_stop` said so; nothing is written then.
    """
    rows: list[tuple[str | int | float, ...]] = []
    for one in masks:
        if should_stop():
            raise Cancelled("Stopped; no table was written.")
        mask = read_class_file(one.mask) if isinstance(one.mask, Path) else one.mask
        for area in class_areas(mask, one.spacing_mm, len(one.classes)):
            is_known = area.number <= len(one.classes)
            name = one.classes[area.number - 1] if is_known else f"class {area.number}"
            mm2 = "" if area.mm2 is None else round(area.mm2, 6)
            part = round(area.pixels / mask.size, 6)
            rows.append((one.image, area.number, name, area.pixels, mm2, part, one.made_by))
    write_csv(out, HEADER, rows)
    return len(rows)
