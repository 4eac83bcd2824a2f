"""Images with masks for segmentation, split by group, with nested parts of the training images.

A set is a folder with `pairs.csv` (image,mask,group,labels) beside `images/` and `masks/`. Labels
are the values of a mask, such as 0|1|2, 0 being the rest; words instead (`8 instances`) say that
the values are numbers of objects, which are foreground all.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.io.limits import check_size, one_line

TABLE = "pairs.csv"
FOREGROUND = "foreground"
_COLUMNS = ("image", "mask", "group", "labels")


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image and the class of each of its pixels.

    Attributes
    ----------
    name
        File name of the image.
    group
        Whom or what it is of: images of one group are never split.
    pixels
        uint8 RGB, shape (Y, X, 3).
    classes
        uint8, 0 for the rest, shape (Y, X).
    """

    name: str
    group: str
    pixels: NDArray[np.uint8]
    classes: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """The images of one folder.

    Attributes
    ----------
    name
        Of the folder.
    classes
        Names of classes 1, 2 and so on.
    train, test
        Images of different groups.
    failures
        (name, reason) of images that could not be read; they are left out.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[LabelledImage, ...]
    test: tuple[LabelledImage, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def digest(self) -> str:
        """Return what tells this split of these images and masks from every other."""
        found = hashlib.sha256(repr(self.classes).encode())
        for part in (self.train, self.test):
            found.update(b"part")
            for image in part:
                found.update(repr((image.name, image.pixels.shape)).encode())
                found.update(image.pixels.tobytes())
                found.update(image.classes.tobytes())
        return found.hexdigest()


def read_set(
    folder: Path,
    test_share: float,
    seed: int,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> LabelledSet:
    """Return the images of a folder, split.

    Raises
    ------
    UserError
        If there is no table, it is no such table, or its images are of fewer than two groups.
    Cancelled
        If `should_stop` said so.
    """
    rows = _read_rows(folder)
    values = _values(rows)
    names = (FOREGROUND,) if values is None or len(values) == 1 else tuple(map(str, values))
    images, failures = [], []
    for number, row in enumerate(rows):
        if should_stop():
            raise Cancelled("Stopped while reading the images.")
        on_progress(Progress(number, len(rows), f"reading {folder.name}"))
        try:
            images.append(_read_pair(folder, row, values if len(names) > 1 else None))
        except UserError as error:
            failures.append((row["image"], str(error)))
    groups = list(dict.fromkeys(image.group for image in images))
    if len(groups) < 2:
        told = f": {failures[0][1]}" if failures else "."
        raise UserError(
            f"{str(folder / TABLE)!r} has readable images of {len(groups)} groups; due are 2 at "
            f"least, for groups are never split{told}"
        )
    tested = choose_test_groups(groups, test_share, seed)
    return LabelledSet(
        folder.name,
        names,
        tuple(image for image in images if image.group not in tested),
        tuple(image for image in images if image.group in tested),
        tuple(failures),
    )


def choose_test_groups(groups: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Return the groups to test on: about `share` of them, one at least and never all."""
    count = min(len(groups) - 1, max(1, round(share * len(groups))))
    order = np.random.default_rng([seed, 0]).permutation(len(groups))
    return frozenset(groups[place] for place in order[:count])


def nested_parts(count: int, percents: Sequence[int], seed: int) -> dict[int, tuple[int, ...]]:
    """Return for each percentage which of `count` images are labelled; smaller parts lie in larger.

    A part has one image at least.
    """
    order = np.random.default_rng([seed, 1]).permutation(count).tolist()
    sizes = {percent: max(1, int(count * percent / 100 + 0.5)) for percent in percents}
    return {percent: tuple(order[:size]) for percent, size in sizes.items()}


def _read_rows(folder: Path) -> list[dict[str, str]]:
    table = folder / TABLE
    if not table.is_file():
        raise UserError(
            f"--data {str(folder)!r} has no {TABLE}. Due is a folder with {TABLE} "
            f"({','.join(_COLUMNS)}), images/ and masks/."
        )
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{str(table)!r} cannot be read: {one_line(error)}.") from None
    for line, row in enumerate(rows, start=2):
        lacking = [name for name in _COLUMNS if not row.get(name)]
        if lacking:
            raise UserError(
                f"{str(table)!r}, line {line}, has no {lacking[0]}. Due are the columns "
                f"{','.join(_COLUMNS)}, none of them empty."
            )
    return rows


def _values(rows: Sequence[dict[str, str]]) -> list[int] | None:
    """Return the values that are classes in some mask, in order; None where they are objects."""
    labels = [row["labels"] for row in rows]
    if not all(re.fullmatch(r"[0-9]{1,9}(\|[0-9]{1,9})*", text) for text in labels):
        return None
    found = {int(value) for text in labels for value in text.split("|")}
    return sorted(found - {0})


def _read_pair(folder: Path, row: dict[str, str], values: list[int] | None) -> LabelledImage:
    """Return an image with its classes: foreground, or the places of its values in `values`."""
    pixels = read_image(ImageRef(_inside(folder / "images", row["image"])), robust=True)
    mask = _read_mask(_inside(folder / "masks", row["mask"]))
    if mask.shape != pixels.shape[:2]:
        raise UserError(
            f"Mask {row['mask']!r} has {mask.shape[1]} x {mask.shape[0]} pixels, its image "
            f"{pixels.shape[1]} x {pixels.shape[0]}; due is one size."
        )
    classes = (mask != 0).astype(np.uint8)
    for number, value in enumerate(values or (), start=1):
        classes[mask == value] = number
    unknown = np.setdiff1d(mask, [0, *values]) if values else np.array([])
    if unknown.size:
        raise UserError(
            f"Mask {row['mask']!r} has the value {unknown[0]}, which no labels of {TABLE} name; "
            f"due are 0, {', '.join(map(str, values or ()))}."
        )
    return LabelledImage(row["image"], row["group"], pixels, classes)


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise UserError(f"{TABLE} names {name!r}, which is no file in {str(folder)!r}.")
    return path


def _read_mask(path: Path) -> NDArray[np.generic]:
    """Return the values of a mask, shape (Y, X)."""
    try:
        with Image.open(path) as opened:
            check_size(path.name, *opened.size)
            values = np.asarray(opened)
    except UserError:
        raise
    except Exception as error:  # decoders raise nearly everything on damaged files
        raise UserError(f"Mask {path.name!r} cannot be read: {one_line(error)}.") from None
    if values.ndim == 3:
        if (values[..., :3] != values[..., :1]).any():
            raise UserError(f"Mask {path.name!r} is in colours; due is one number a pixel.")
        values = values[..., 0]
    return values
