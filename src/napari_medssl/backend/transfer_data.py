"""Images with masks for segmentation, split by group, with nested parts of the training images.

What a set is, `backend.segmentation_data` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.segmentation_data import TABLE, read_pairs


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
    table = read_pairs(folder)
    images, failures = [], []
    for number, pair in enumerate(table.pairs):
        if should_stop():
            raise Cancelled("Stopped while reading the images.")
        on_progress(Progress(number, len(table.pairs), f"reading {folder.name}"))
        try:
            images.append(LabelledImage(pair.name, pair.group, *table.read(pair)))
        except UserError as error:
            failures.append((pair.name, str(error)))
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
        table.classes,
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
