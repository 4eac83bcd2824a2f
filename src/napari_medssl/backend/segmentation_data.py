"""Images with masks as they are scored: what `pairs.csv` beside `images/` and `masks/` says.

The table has the columns image, mask, group and labels. Labels are the values of a mask, such as
0|1|2, and 0 is the rest; masks may have different ones, the classes are all of them. Words instead
(`8 instances`) say that the values number objects, which are foreground all; so is every value but
0 where only one is listed. Optional columns: `volume` and `z` make volumes of slices, `spacing_mm`
is the distance of pixels along each axis. Beside the table, `classes.csv` (class,name) may name the
values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.pair_tables import read_rows
from napari_medssl.backend.picture_slices import read_mask_slices
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.io.volumes import is_zarr

TABLE = "pairs.csv"
NAMES = "classes.csv"
FOREGROUND = "foreground"

_COLUMNS = ("image", "mask", "group", "labels")
_NUMBERS = re.compile(r"[0-9]{1,9}(\|[0-9]{1,9})*")
_WORDS = re.compile(r"[^|]*[^\W\d_][^|]*")
_MOST = 254  # classes are uint8, and 255 is kept for pixels that nobody painted


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask, as a line of the table names them.

    Attributes
    ----------
    name
        File name of the image.
    mask
        File name of the mask.
    group
        Whom it is of: images of one group are never split.
    line
        Of the table; 0 without one.
    volume, z
        The volume that it is a slice of, and where in it; empty and None for an image by itself.
    spacing
        Distance in mm of pixels along the axes, Y, X or Z, Y, X, or along all; None if the table
        does not say it.
    """

    name: str
    mask: str
    group: str
    line: int = 0
    volume: str = ""
    z: float | None = None
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class PairTable:
    """The pairs of a folder and their classes.

    Attributes
    ----------
    values
        Mask values of classes 1, 2 and so on; empty: every value but 0 is the one class.
    classes
        Their names.
    has_names
        Whether `classes.csv` gives the names; else they are the values, or "foreground".
    missing
        Those of `values` that no mask may have: numbers between others, without a name.
    """

    folder: Path
    pairs: tuple[Pair, ...]
    values: tuple[int, ...]
    classes: tuple[str, ...]
    has_names: bool = False
    missing: frozenset[int] = frozenset()

    def read(self, pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return an image, shape (Y, X, 3), and the class of each of its pixels, shape (Y, X).

        Raises
        ------
        UserError
            If one cannot be read, both do not fit, or the mask has a value that is no class.
        """
        image, mask = self.files(pair)
        pixels = read_image(ImageRef(image), robust=True)
        values = _read_mask(mask)
        if values.shape != pixels.shape[:2]:
            raise UserError(
                f"Mask {pair.mask!r} has {values.shape[1]} x {values.shape[0]} pixels, its image "
                f"{pixels.shape[1]} x {pixels.shape[0]}; due is one size."
            )
        return pixels, self.classes_of(values, pair)

    def files(self, pair: Pair) -> tuple[Path, Path]:
        """Return the files of an image and its mask; `UserError` if one is not there."""
        where = f"{TABLE}, line {pair.line}" if pair.line else self.folder.name
        image = _inside(self.folder / "images", pair.name, where)
        return image, _inside(self.folder / "masks", pair.mask, where)

    def classes_of(self, values: NDArray[np.generic], pair: Pair) -> NDArray[np.uint8]:
        """Return the classes that the values of a mask mean; `UserError` for one that is none."""
        classes = np.array(values != 0, np.uint8)
        for number, value in enumerate(self.values, start=1):
            classes[values == value] = number
        due = [value for value in self.values if value not in self.missing]
        unknown = np.setdiff1d(values, [0, *due]) if self.values else np.array([])
        if unknown.size:
            which = f"which no labels of {TABLE} name" if pair.line else "which is no class"
            raise UserError(
                f"Mask {pair.mask!r} has the value {unknown[0]}, {which}; due are 0, "
                f"{', '.join(map(str, due))}."
            )
        return classes


def read_pairs(folder: Path) -> PairTable:
    """Return the pairs that a folder's table lists; no image is read yet.

    Raises
    ------
    UserError
        If there is no such table, or a line of it is wrong.
    """
    table = folder / TABLE
    if not table.is_file():
        raise UserError(
            f"Folder {str(folder)!r} has no {TABLE} with {', '.join(_COLUMNS)}, beside images/ and "
            "masks/."
        )
    rows = _rows(table, _COLUMNS)
    if not rows:
        raise UserError(f"{str(table)!r} lists no image.")
    values = _values([row["labels"] for row in rows])
    pairs = tuple(_pair(row, line) for line, row in enumerate(rows, start=2))
    _check_optional(pairs)
    names = _names(folder / NAMES)
    if values is not None:
        values = tuple(sorted({*values, *names}))
    if values is None or len(values) == 1:
        name = names.get(values[0] if values else 1)
        return PairTable(folder, pairs, (), (name or FOREGROUND,), name is not None)
    if not 0 < len(values) <= _MOST:
        raise UserError(
            f"{str(table)!r} names {len(values)} classes, with labels {rows[0]['labels'][:40]!r}; "
            f"due are two values or more, as 0|255, and {_MOST + 1} at most. Where the values "
            f"number objects, write words instead, as '{max(2, len(values))} instances'."
        )
    classes = tuple(names.get(value, str(value)) for value in values)
    return PairTable(folder, pairs, values, classes, bool(names))


def _rows(table: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the lines of a table, none of which lacks a value of these columns."""
    _, rows = read_rows(table)
    for line, row in enumerate(rows, start=2):
        lacking = [name for name in columns if not row.get(name)]
        if lacking:
            raise UserError(
                f"{str(table)!r}, line {line}, has no {lacking[0]}. Due are the columns "
                f"{','.join(columns)}, none of them empty."
            )
    return rows


def _values(labels: Sequence[str]) -> tuple[int, ...] | None:
    """Return the values that are classes in some mask, in order; None where they are objects."""
    found = set()
    for line, text in enumerate(labels, start=2):
        if _NUMBERS.fullmatch(text):
            numbers = [int(value) for value in text.split("|")]
            if 0 in numbers[1:]:
                raise _refusal(line, "labels", text, "due is 0 first: it is always the rest")
            found.update(numbers)
        elif not _WORDS.fullmatch(text):
            raise _refusal(line, "labels", text, "due are numbers, as 0|1|2, or words for objects")
    if not all(_NUMBERS.fullmatch(text) for text in labels):
        return None
    return tuple(sorted(found - {0}))


def _pair(row: dict[str, str], line: int) -> Pair:
    z = row.get("z", "")
    if z and not _is_number(z):
        raise _refusal(line, "z", z, "due is a number")
    text = row.get("spacing_mm", "")
    steps = text.split("|") if text else []
    if len(steps) > 3 or not all(_is_number(step) and float(step) > 0 for step in steps):
        raise _refusal(line, "spacing_mm", text, "due are 1 to 3 numbers above 0, as 5|0.5|0.5")
    return Pair(
        row["image"],
        row["mask"],
        row["group"],
        line,
        row.get("volume", ""),
        float(z) if z else None,
        tuple(map(float, steps)) or None,
    )


def _check_optional(pairs: Sequence[Pair]) -> None:
    """Refuse a table in which some lines have what others lack: no mean would be of one kind.

    A spacing may be lacking: a file may know it, and `scored_units` finds one unit for all.
    """
    for name in ("volume", "z"):
        lacking = [pair for pair in pairs if getattr(pair, name) in ("", None)]
        if lacking and len(lacking) < len(pairs):
            raise UserError(
                f"{TABLE}, line {lacking[0].line}, has no {name}, though other lines have it; "
                "due is one in each line, or no such column."
            )


def _names(table: Path) -> dict[int, str]:
    """Return the names that `classes.csv` gives to values; none without it."""
    if not table.is_file():
        return {}
    found: dict[int, str] = {}
    for line, row in enumerate(_rows(table, ("class", "name")), start=2):
        text, name = row["class"], row["name"]
        if not (text.isdecimal() and len(text) < 10):
            raise UserError(f"{NAMES}, line {line}: class {text!r}; due is a number of the masks.")
        if int(text) in found or name in found.values():
            raise UserError(
                f"{NAMES}, line {line}: {text!r}, {name!r} is there twice; due is once."
            )
        if int(text):
            found[int(text)] = name
    return found


def _refusal(line: int, column: str, text: str, due: str) -> UserError:
    return UserError(f"{TABLE}, line {line}: {column} {text!r}; {due}.")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _inside(folder: Path, name: str, where: str) -> Path:
    path = folder / name
    is_there = path.is_file() or is_zarr(path)
    if not (is_there and path.resolve().is_relative_to(folder.resolve())):
        raise UserError(f"{where}: there is no file {str(path)!r}.")
    return path


def _read_mask(path: Path) -> NDArray[np.integer]:
    """Return the values of a mask, shape (Y, X), as training reads them."""
    planes = read_mask_slices(ImageRef(path))
    if len(planes) != 1:
        raise UserError(
            f"Mask {path.name!r} has {len(planes)} slices, its image is one; due is a mask of one."
        )
    return planes[0]
