"""Measure the landmarks of a file: a table of distances and angles, a row for each image."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.measurements import (
    Measured,
    Measurement,
    check_definitions,
    is_angle,
    measure,
    needed_landmarks,
    parse_definition,
    parse_definitions,
)
from napari_medssl.io.annotations.documents import read_text
from napari_medssl.io.csv_files import write_csv
from napari_medssl.io.landmarks import LandmarkFile, SliceGrid, read_landmarks


@dataclass(frozen=True)
class MeasureConfig:
    """Measure distances and angles between landmarks."""

    mm_per_pixel: float = option(
        0.0, help="Size of a pixel in mm, where the file does not say it; 0 if unknown.", min=0.0
    )


@dataclass(frozen=True)
class MeasureReport:
    """What was measured: images, measurements, and how many of their values could not be."""

    images: int
    measurements: int
    empty: int
    notes: tuple[str, ...]


def read_definitions(path: Path) -> tuple[Measurement, ...]:
    """Return the measurements that a file defines.

    A CSV file has the columns `name` and `definition`; any other file holds lines
    "NAME = DEFINITION". See `backend.measurements`.

    Raises
    ------
    UserError
        If it cannot be read or a definition is none.
    """
    text = read_text(path)
    if path.suffix.lower() != ".csv":
        found = parse_definitions(text.splitlines())
    else:
        rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""))
        missing = {"name", "definition"} - {str(name).strip() for name in rows.fieldnames or ()}
        if missing:
            raise UserError(
                f"Cannot read {str(path)!r}: no column {sorted(missing)[0]!r}. Due are the columns "
                "name and definition, such as 'SNA,angle S N A'."
            )
        try:
            cells = [
                {str(key).strip(): value or "" for key, value in row.items() if key is not None}
                for row in rows
            ]
        except csv.Error as error:
            raise UserError(f"Cannot read {str(path)!r}: it is no CSV ({error}).") from error
        found = check_definitions(
            [parse_definition(row["name"], row["definition"]) for row in cells if any(row.values())]
        )
    if not found:
        raise UserError(f"{str(path)!r} defines no measurement. Add a line 'SN = distance S N'.")
    return found


def measure_file(
    source: Path, definitions: Path, out: Path, config: MeasureConfig
) -> MeasureReport:
    """Measure every image of a file of landmarks and write a table.

    Parameters
    ----------
    source
        What `io.landmarks` reads: CSV, 3D Slicer, COCO keypoints, CVAT, DeepLabCut.
    definitions
        What `read_definitions` reads.
    out
        CSV file to write, see `write_measurements`.
    config
        See `MeasureConfig`.

    Raises
    ------
    UserError
        If a file cannot be read, a landmark is in no image, or the table cannot be written.
    """
    measurements = read_definitions(definitions)
    side = config.mm_per_pixel
    grid = SliceGrid(spacing_mm=(side, side)) if side else None
    file = read_landmarks(source, grid=grid)
    check_landmarks(measurements, _labels(file))
    spacing = (side, side) if side else None
    rows = []
    for image in file.images:
        places = {m.label: m.place for m in image.landmarks if m.place is not None}
        found = measure(measurements, places, image.spacing_mm or spacing)
        rows.append((image.image or source.name, found))
    write_measurements(rows, measurements, out)
    empty = sum(value == Measured() for _, found in rows for value in found.values())
    return MeasureReport(len(rows), len(measurements), empty, file.notes)


def check_landmarks(measurements: Sequence[Measurement], known: Iterable[str]) -> None:
    """Raise `UserError` if measurements need landmarks that are in no image."""
    there = list(dict.fromkeys(known))
    missing = [name for name in needed_landmarks(measurements) if name not in there]
    if missing:
        raise UserError(
            f"No image has a landmark {missing[0]!r}. Those there are: {', '.join(there)}."
        )


def table_header(measurements: Sequence[Measurement], *, has_mm: bool) -> list[str]:
    """Return the columns of the table: `image`, `SN_px`, `SN_mm`, `SNA_deg` ..."""
    angles = is_angle(measurements)
    header = ["image"]
    for each in measurements:
        units = ["deg"] if angles[each.name] else ["px", "mm"] if has_mm else ["px"]
        header += [f"{each.name}_{unit}" for unit in units]
    return header


def table_row(
    measurements: Sequence[Measurement], found: Mapping[str, Measured], *, has_mm: bool
) -> list[float | None]:
    """Return the values of an image in the order of `table_header`, without the image itself."""
    angles = is_angle(measurements)
    row: list[float | None] = []
    for each in measurements:
        value = found[each.name]
        row += [value.degrees] if angles[each.name] else [value.px, value.mm][: 1 + has_mm]
    return row


def write_measurements(
    rows: Sequence[tuple[str, Mapping[str, Measured]]],
    measurements: Sequence[Measurement],
    out: Path,
) -> None:
    """Write a CSV table with a row for each image; what could not be measured is left empty.

    The columns in mm are there if the size of a pixel is known of any image. Numbers have six
    digits after the point: far more than any landmark is worth.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    has_mm = any(value.mm is not None for _, found in rows for value in found.values())
    cells = (
        [name, *(_shown(v) for v in table_row(measurements, found, has_mm=has_mm))]
        for name, found in rows
    )
    write_csv(out, table_header(measurements, has_mm=has_mm), cells)


def _shown(value: float | None) -> str | float:
    # A text would get an apostrophe before its minus sign.
    return "" if value is None else round(value, 6) + 0.0


def _labels(file: LandmarkFile) -> list[str]:
    return [mark.label for image in file.images for mark in image.landmarks]
