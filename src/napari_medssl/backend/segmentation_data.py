"""Images with masks: `pairs.csv` (image,mask,group,labels) beside `images/` and `masks/`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.images import read_image
from napari_medssl.io.limits import one_line

TABLE = "pairs.csv"
_COLUMNS = ("image", "mask", "group", "labels")


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, its mask, and what the mask's values mean.

    Attributes
    ----------
    name
        File name of the image.
    group
        Whom it is of: images of one group are never split.
    labels
        Values of the mask; the first is the rest, the others are classes 1, 2 and so on.
    """

    name: str
    image: Path
    mask: Path
    group: str
    labels: tuple[int, ...]

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the image, shape (Y, X, 3), and the class of each pixel, shape (Y, X).

        Raises
        ------
        UserError
            If one cannot be read, or both do not fit.
        """
        pixels = read_image(self.image, robust=True)
        try:
            with Image.open(self.mask) as opened:
                values = np.asarray(opened)
        except (OSError, ValueError, SyntaxError, TypeError) as error:
            raise UserError(f"Mask {self.mask.name!r} cannot be read: {one_line(error)}.") from None
        values = values[..., 0] if values.ndim == 3 else values
        if values.shape != pixels.shape[:2]:
            raise UserError(
                f"Mask {self.mask.name!r} has {values.shape[1]} x {values.shape[0]} pixels, its "
                f"image {pixels.shape[1]} x {pixels.shape[0]}; due is one size."
            )
        classes = np.zeros(values.shape, np.uint8)
        for number, value in enumerate(self.labels):
            classes[values == value] = number
        return pixels, classes


def read_pairs(folder: Path) -> tuple[Pair, ...]:
    """Return the pairs that `folder`'s table lists.

    Raises
    ------
    UserError
        If there is no such table, it lacks a column, or names a file that is not there.
    """
    table = folder / TABLE
    if not table.is_file():
        raise UserError(
            f"Folder {str(folder)!r} has no {TABLE} with {', '.join(_COLUMNS)}, beside images/ and "
            "masks/."
        )
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{str(table)!r} cannot be read: {one_line(error)}.") from None
    if not rows:
        raise UserError(f"{str(table)!r} lists no image.")
    missing = [name for name in _COLUMNS if rows[0].get(name) is None]
    if missing:
        raise UserError(f"{str(table)!r} lacks the column {missing[0]!r}.")
    return tuple(_pair(folder, row, number) for number, row in enumerate(rows, start=2))


def _pair(folder: Path, row: dict[str, str], line: int) -> Pair:
    where = f"{TABLE}, line {line}"
    try:
        labels = tuple(int(value) for value in row["labels"].split("|"))
    except (ValueError, AttributeError):
        raise UserError(f"{where}: labels {row['labels']!r}; due are numbers, as 0|255.") from None
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise UserError(f"{where}: labels {row['labels']!r}; due are two values or more, as 0|255.")
    image, mask = folder / "images" / row["image"], folder / "masks" / row["mask"]
    for path, root in ((image, folder / "images"), (mask, folder / "masks")):
        if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
            raise UserError(f"{where}: there is no file {str(path)!r}.")
    return Pair(row["image"], image, mask, row["group"], labels)
