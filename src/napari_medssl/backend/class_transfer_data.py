"""Pictures with classes, split into training and test parts; nested parts of the labels.

A set is a folder with a folder of pictures for each class. A file `groups.csv` (image,group) in it,
with paths below the folder, says what is of one patient or source: groups are never split.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.class_folders import classes_of
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.tile_pictures import read_batches
from napari_medssl.backend.training_images import find_images
from napari_medssl.io.images import name_below
from napari_medssl.io.limits import one_line

GROUPS = "groups.csv"
_AT_ONCE = 64


@dataclass(frozen=True)
class ClassSet:
    """The pictures of one folder.

    Attributes
    ----------
    name
        Of the folder.
    classes
        Names of classes 0, 1 and so on.
    names
        Paths of the N pictures below the folder.
    pixels
        uint8 RGB, shape (N, S, S, 3).
    labels
        Class of each, shape (N,).
    train, test
        Places of pictures, of different groups; every class is in both.
    failures
        (name, reason) of pictures that could not be read; they are left out.
    """

    name: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    failures: tuple[tuple[str, str], ...] = ()

    def digest(self) -> str:
        """Return what tells this split of these pictures and classes from every other."""
        found = hashlib.sha256(repr((self.classes, self.names, self.pixels.shape)).encode())
        for values in (self.pixels, self.labels, self.train, self.test):
            found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()


def read_class_set(
    folder: Path,
    size: int,
    test_share: float,
    seed: int,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ClassSet:
    """Return the middle squares of the pictures of a folder at `size` pixels, split.

    Raises
    ------
    UserError
        If there are no two classes with pictures of two groups each, or groups.csv is no such file.
    Cancelled
        If `should_stop` said so.
    """
    listing = find_images(folder)
    refs = listing.refs
    # Reports are published: names of files, not where they lie.
    failures = [(Path(name).name, reason) for name, reason in listing.failures]
    names: list[str] = []
    pixels = []
    for done, kept, tiles in read_batches(refs, size, _AT_ONCE, failures):
        if should_stop():
            raise Cancelled("Stopped while reading the pictures.")
        on_progress(Progress(done, len(refs), f"reading {folder.name}"))
        names += [name_below(ref, [folder]) for ref in kept]
        pixels.append(tiles)
    classes, labels = classes_of(folder, names)
    groups = _groups(folder, names)
    train, test = split_by_class(labels, groups, classes, test_share, seed)
    return ClassSet(
        folder.name,
        tuple(classes),
        tuple(names),
        np.concatenate(pixels),
        labels,
        train,
        test,
        tuple(failures),
    )


def split_by_class(
    labels: NDArray[np.int64],
    groups: Sequence[str],
    classes: Sequence[str],
    share: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places to train and to test on: about `share` of the groups of each class.

    A group of several classes counts as of its commonest.

    Raises
    ------
    UserError
        If a class would be in one part alone.
    """
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    main = [int(np.bincount(labels[numbers == group]).argmax()) for group in np.unique(numbers)]
    tested: list[int] = []
    for number in range(len(classes)):
        own = np.flatnonzero(np.array(main) == number)
        count = min(len(own) - 1, max(1, round(share * len(own))))
        order = np.random.default_rng([seed, 0, number]).permutation(len(own))
        tested += own[order[: max(0, count)]].tolist()
    is_test = np.isin(numbers, tested)
    for number, name in enumerate(classes):
        parts = {bool(value) for value in is_test[labels == number]}
        if len(parts) < 2:
            raise UserError(
                f"Class {name!r} has too few groups of pictures to be trained and tested on; due "
                "are 2 at least, for groups are never split."
            )
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def labelled_parts(
    labels: NDArray[np.int64], percents: Sequence[int], seed: int
) -> dict[int, tuple[int, ...]]:
    """Return for each percentage which pictures are labelled; smaller parts lie in larger.

    So many of each class, one at least.

    Parameters
    ----------
    labels
        Class of each picture to train on.
    """
    orders = []
    for number in np.unique(labels).tolist():
        own = np.flatnonzero(labels == number)
        orders.append(own[np.random.default_rng([seed, 1, number]).permutation(len(own))].tolist())
    return {
        percent: tuple(
            place
            for order in orders
            for place in order[: max(1, int(len(order) * percent / 100 + 0.5))]
        )
        for percent in percents
    }


def _groups(folder: Path, names: Sequence[str]) -> list[str]:
    """Return the group of each picture: by the table, else each by itself."""
    table = folder / GROUPS
    if not table.is_file():
        return list(names)
    known = _read_groups(table)
    lacking = [name for name in names if name not in known]
    if lacking:
        raise UserError(
            f"{str(table)!r} names no group of {lacking[0]!r}; due is a line for each picture, "
            "with its path below the folder."
        )
    return [known[name] for name in names]


def _read_groups(table: Path) -> Mapping[str, str]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"image", "group"} <= set(rows.fieldnames or ()):
                raise UserError(
                    f"{str(table)!r} has the columns {', '.join(rows.fieldnames or ())}; due are "
                    "image and group."
                )
            return {row["image"] or "": row["group"] or row["image"] or "" for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{str(table)!r} cannot be read: {one_line(error)}.") from None
