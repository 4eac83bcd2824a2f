"""What a training from painted masks works on: images and masks, and images without, as copies.

Beside what `training_workspace` says, the folder of the workspace holds
- `masks/`: for each picture in `images/` a PNG of class numbers with the same stem;
- `classes.csv`: the names of the classes;
- `unlabelled/`: the other pictures of the set.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.labelled_pairs import CLASSES
from napari_medssl.backend.pair_tables import MOST_CLASSES
from napari_medssl.backend.training_workspace import Workspace, discard, put_image
from napari_medssl.io.class_files import class_png, read_class_file
from napari_medssl.io.files import make_folder, write_whole

PAINT_FIRST = (
    "No mask is painted yet. Put an image in front, add a class, choose the brush (2) and paint "
    "all that belongs to it; one image is enough. What stays unpainted there counts as the rest."
)


_ALL_ONE = (
    "All that is painted is class {number} ({name}), to the last pixel, and nothing is left as the "
    "rest to tell it from. Was the ground filled by a click? Ctrl+Z takes that back; or erase what "
    "does not belong to it."
)


@dataclass(frozen=True, slots=True)
class PaintedImage:
    """An image that a person stands for: its source, and its class numbers or their file."""

    source: str
    mask: NDArray[np.uint8] | Path


@dataclass(frozen=True, slots=True)
class PaintedImages:
    """What is learnt from.

    Attributes
    ----------
    labelled
        Images with masks.
    unlabelled
        Sources of the others.
    class_names
        Of class numbers, as far as they have one.
    """

    labelled: tuple[PaintedImage, ...]
    unlabelled: tuple[str, ...] = ()
    class_names: Mapping[int, str] = field(default_factory=dict)


def fill_painted(
    workspace: Workspace,
    painted: PaintedImages,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> None:
    """Put images and masks into a workspace; what was there is deleted.

    Numbers stay as they are painted: one that nobody used gets a name too, so that the model gives
    the numbers that the person has.

    Raises
    ------
    UserError
        If nothing is painted, or all of every image as one class; if a number is no class, or
        something cannot be read or written.
    Cancelled
        If `should_stop` said so.
    """
    discard(workspace)
    for folder in (workspace.images, workspace.masks, workspace.unlabelled):
        make_folder(folder)
    total = len(painted.labelled) + len(painted.unlabelled)
    numbers: set[int] = set()
    for done, image in enumerate(painted.labelled):
        _look(done, total, on_progress, should_stop)
        mask = image.mask if isinstance(image.mask, np.ndarray) else read_class_file(image.mask)
        numbers |= set(np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist())
        stem = f"{done + 1:04}"
        put_image(image.source, workspace.images, stem)
        write_whole(workspace.masks / f"{stem}.png", class_png(mask))
    names = _every_name(numbers - {0}, painted.class_names)
    if len(numbers) == 1:
        (number,) = numbers
        raise UserError(_ALL_ONE.format(number=number, name=repr(names[number])))
    write_whole(workspace.folder / CLASSES, _table(names))
    for done, source in enumerate(painted.unlabelled, start=len(painted.labelled)):
        _look(done, total, on_progress, should_stop)
        put_image(source, workspace.unlabelled, f"{done + 1:04}")


def _look(done: int, total: int, on_progress: OnProgress, should_stop: ShouldStop) -> None:
    if should_stop():
        raise Cancelled("Stopped before the training began.")
    on_progress(Progress(done, total, "collecting the images"))


def _table(names: Mapping[int, str]) -> str:
    """Return a table of classes; names as they are, since a program reads them."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("class", "name"), *names.items()])
    return text.getvalue()


def _every_name(numbers: set[int], known: Mapping[int, str]) -> dict[int, str]:
    """Return a name for each class from 1 to the last that is painted or has a name."""
    if not numbers:
        raise UserError(PAINT_FIRST)
    top = max(numbers | set(known))
    if top > MOST_CLASSES:
        raise UserError(
            f"Class {top} came; a model learns the classes 1 to {MOST_CLASSES}. Paint with lower "
            "numbers, and take classes off the list that are not used."
        )
    return {number: known.get(number) or f"class {number}" for number in range(1, top + 1)}
