"""Images with masks, and images without, to learn segmentation from; all in memory.

What a folder of either may hold is said in `backend.labelled_pairs`, what the numbers of the masks
mean in `backend.mask_meaning`. Files of several slices (TIFF stacks, NIfTI, zarr) give an image for
each slice, and their group is the file. One damaged file does not spoil a folder: it is left out
and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.labelled_pairs import (
    IMAGES,
    MASKS,
    Pair,
    is_mask_set,
    list_pairs,
    painted_without_mask,
    some_names,
    visible_files,
)
from napari_medssl.backend.mask_meaning import NOT_PAINTED, MaskMeaning, choose_meaning
from napari_medssl.backend.patients import Patients
from napari_medssl.backend.picture_slices import Slice, check_place, read_mask_slices, read_slices
from napari_medssl.backend.read_in_order import read_in_order
from napari_medssl.backend.transfer_data import LabelledImage
from napari_medssl.io.images import ImageRef

Failures = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """The images of a folder that have masks.

    Attributes
    ----------
    images
        At least one; classes are 0 for the rest, 1 and so on, and 255 where nobody has painted.
    class_names
        Of classes 1, 2 and so on.
    failures
        (name, reason) of images and masks that are left out.
    remarks
        What was decided and left out, for a person.
    """

    images: tuple[LabelledImage, ...]
    class_names: tuple[str, ...]
    failures: Failures = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnlabelledFolder:
    """The images of a folder that have none.

    Attributes
    ----------
    names
        File names, with "#page=N" for slices.
    images
        uint8 RGB, shape (Y, X, 3) each.
    failures
        (name, reason) of images that are left out.
    remarks
        What is odd, for a person.
    """

    names: tuple[str, ...]
    images: tuple[NDArray[np.uint8], ...]
    failures: Failures = ()
    remarks: tuple[str, ...] = ()


def read_labelled(
    folder: Path,
    *,
    masks: str = "auto",
    patients: Patients | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> LabelledFolder:
    """Return the images of a folder with the class of each pixel.

    Parameters
    ----------
    folder
        With `images/` and `masks/`, perhaps `pairs.csv`; or a set of the widget "Segmentation".
    masks
        What numbers in masks mean: "classes", "foreground", or "auto" to decide by all of them.
    patients
        Says whose image it is by its file name, where no table gives a group.

    Raises
    ------
    UserError
        If there is no such folder, nothing in it fits, or nothing is labelled.
    Cancelled
        If `should_stop` said so.
    """
    listing = list_pairs(folder, patients or Patients())
    read = _PairReader(should_stop)
    failures = list(listing.failures)
    found: list[tuple[Pair, Slice, NDArray[np.integer]]] = []
    what = f"reading {folder.name}"
    for pair, came in read_in_order(read, listing.pairs, what, on_progress, should_stop):
        if isinstance(came, str):
            failures.append((pair.name, came))
        else:
            found += [(pair, picture, values) for picture, values in came]
    if not found:
        raise UserError(
            f"None of {len(listing.pairs)} images of {str(folder)!r} can be used: {failures[0][1]}"
        )
    meaning = choose_meaning(
        [frozenset(np.unique(values).tolist()) for _, _, values in found],
        masks,
        listing.class_names,
        [pair.labels for pair, _, _ in found],
        is_painted=listing.is_painted,
    )
    images = tuple(_labelled(found, meaning, failures))
    _check_labelled(folder, images, failures)
    remarks = (*listing.remarks, *filter(None, [meaning.remark]), *_remarks(images, meaning))
    return LabelledFolder(images, meaning.names, tuple(failures), remarks)


def read_unlabelled(
    folder: Path,
    *,
    labelled: LabelledFolder | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> UnlabelledFolder:
    """Return the images of a folder; it may be empty.

    Parameters
    ----------
    folder
        With images, or with `images/`; or a set of the widget "Segmentation", of which the images
        without a mask are meant.
    labelled
        What is labelled; a remark counts the images that are there too. They stay: nothing is
        wrong with learning from both.

    Raises
    ------
    UserError
        If it is no folder, or holds `masks/` without `images/`.
    Cancelled
        If `should_stop` said so.
    """
    refs = _unlabelled_refs(folder)
    names: list[str] = []
    images: list[NDArray[np.uint8]] = []
    failures: list[tuple[str, str]] = []
    read = _SliceReader(should_stop)
    for ref, came in read_in_order(read, refs, f"reading {folder.name}", on_progress, should_stop):
        if isinstance(came, str):
            failures.append((ref.name, came))
            continue
        names += [picture.name for picture in came]
        images += [picture.pixels for picture in came]
    remarks = []
    if not images:
        remarks.append(
            f"{str(folder)!r} holds no readable image: only labelled ones are used. Images must "
            "lie in it, not in folders within it."
        )
    known = {_sum(image.pixels) for image in labelled.images} if labelled else set()
    both = [name for name, pixels in zip(names, images, strict=True) if _sum(pixels) in known]
    if both:
        remarks.append(
            f"{len(both)} of {len(images)} unlabelled images are among the labelled ones too: "
            f"{some_names(both)}."
        )
    return UnlabelledFolder(tuple(names), tuple(images), tuple(failures), tuple(remarks))


def _unlabelled_refs(folder: Path) -> list[ImageRef]:
    if not folder.is_dir():
        raise UserError(f"--unlabelled {str(folder)!r} is not a folder. Give one with images.")
    if is_mask_set(folder):
        return painted_without_mask(folder)
    if (folder / IMAGES).is_dir():
        return [ImageRef(path) for path in visible_files(folder / IMAGES)]
    if (folder / MASKS).is_dir():
        raise UserError(
            f"--unlabelled {str(folder)!r} has {MASKS}/ but no {IMAGES}/. Give a folder of images, "
            f"or one with {IMAGES}/."
        )
    return [ImageRef(path) for path in visible_files(folder)]


# -- reading -------------------------------------------------------------------------------------


class _PairReader:
    """Reads the slices of an image and of its mask; asked for from several threads."""

    def __init__(self, should_stop: ShouldStop) -> None:
        self._should_stop = should_stop

    def __call__(self, pair: Pair) -> list[tuple[Slice, NDArray[np.integer]]]:
        check_place(pair.image, pair.mask)
        pictures = read_slices(pair.image, should_stop=self._should_stop)
        masks = read_mask_slices(pair.mask, should_stop=self._should_stop)
        if len(pictures) != len(masks):
            raise UserError(
                f"{pair.name!r} has {len(pictures)} slices, its mask {pair.mask.name!r} "
                f"{len(masks)}; due are as many."
            )
        for picture, mask in zip(pictures, masks, strict=True):
            height, width = picture.pixels.shape[:2]
            if mask.shape != (height, width):
                raise UserError(
                    f"Mask {pair.mask.name!r} has {mask.shape[1]} x {mask.shape[0]} pixels, its "
                    f"image {width} x {height}; due is one size."
                )
        return list(zip(pictures, masks, strict=True))


class _SliceReader:
    """Reads the slices of an image."""

    def __init__(self, should_stop: ShouldStop) -> None:
        self._should_stop = should_stop

    def __call__(self, ref: ImageRef) -> list[Slice]:
        return read_slices(ref, should_stop=self._should_stop)


# -- what became of it ---------------------------------------------------------------------------


def _labelled(
    found: Sequence[tuple[Pair, Slice, NDArray[np.integer]]],
    meaning: MaskMeaning,
    failures: list[tuple[str, str]],
) -> Iterator[LabelledImage]:
    for pair, picture, values in found:
        try:
            classes = meaning.classes_of(values, pair.mask.name)
        except UserError as error:
            failures.append((picture.name, str(error)))
            continue
        yield LabelledImage(picture.name, pair.group, picture.pixels, classes)


def _check_labelled(
    folder: Path, images: Sequence[LabelledImage], failures: Sequence[tuple[str, str]]
) -> None:
    if any(((image.classes > 0) & (image.classes < NOT_PAINTED)).any() for image in images):
        return
    told = f" {failures[-1][1]}" if failures else ""
    raise UserError(
        f"Nothing is labelled in {str(folder)!r}: no mask that can be used has a class.{told}"
    )


def _remarks(images: Sequence[LabelledImage], meaning: MaskMeaning) -> Iterator[str]:
    partly = [image.name for image in images if (image.classes == NOT_PAINTED).any()]
    if partly:
        yield (
            f"{len(partly)} of {len(images)} masks have 255 beside classes: not painted, left out "
            f"of training ({some_names(partly)})."
        )
    empty = [image.name for image in images if not image.classes.any()]
    if empty:
        yield (
            f"{len(empty)} of {len(images)} masks are empty, and so say that nothing is there: "
            f"{some_names(empty)}."
        )
    seen = {number for image in images for number in np.unique(image.classes).tolist()}
    unseen = [name for n, name in enumerate(meaning.names, start=1) if n not in seen]
    if unseen:
        yield f"No mask has the class {some_names(unseen)}: nothing can be learned of it."


def _sum(pixels: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
