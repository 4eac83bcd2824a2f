"""The masks of a set as the backend takes them: which images have one, where it is, what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.export_masks import MaskToExport
from napari_medssl.backend.export_volumes import VolumeToExport
from napari_medssl.backend.mask_areas import MaskToMeasure
from napari_medssl.backend.methods_record import MaskRecord
from napari_medssl.backend.segment_files import places_apart
from napari_medssl.io.class_files import read_class_file
from napari_medssl.io.class_formats import SUFFIXES, MaskFacts
from napari_medssl.io.class_legend import ClassLegend
from napari_medssl.io.images import ImageRef
from napari_medssl.io.volumes import is_nifti
from napari_medssl.state.mask_items import MaskImage
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.segmentation.mask_reading import Mask
from napari_medssl.widgets.segmentation.session import MaskSession

_SOME = 3


@dataclass(frozen=True, slots=True)
class PaintedAs:
    """What masks have of a class.

    Attributes
    ----------
    pixels, images
        Its pixels in all masks together, and how many masks have any.
    unread
        Masks that cannot be read.
    """

    pixels: int
    images: int
    unread: int = 0


class TakesIn(Protocol):
    """Brings what a person painted into the set."""

    def take_in(self) -> None:
        """Save what was painted since it was last looked at."""


def keys_with_mask(session: MaskSession, layers: TakesIn) -> list[int]:
    """Return the images that have a mask; UserError if none has."""
    session.checked_folder()
    layers.take_in()
    keys = [key for key, item in session.store.as_dict().items() if item.has_mask]
    if not keys:
        raise UserError("No image has a mask yet. Press Segment, or paint one.")
    return keys


def mask_of(session: MaskSession, key: int) -> Mask | Path:
    """Return the mask of an image as it is held, or the file that holds it."""
    folder = session.checked_folder()
    held, file = folder.held(key), folder.mask_file(key)
    if held is not None:
        return held
    assert file is not None  # an image with a mask has one or the other
    return file


def count_painted(masks: Sequence[Mask | Path], number: int) -> PaintedAs:
    """Count the pixels of a class in masks; off the GUI thread, since files are read."""
    pixels = images = unread = 0
    for mask in masks:
        try:
            values = read_class_file(mask) if isinstance(mask, Path) else mask
        except UserError:  # said where the image is looked at
            unread += 1
            continue
        count = int(np.count_nonzero(values == number))
        pixels += count
        images += count > 0
    return PaintedAs(pixels, images, unread)


def to_measure(session: MaskSession, key: int, *, with_view: bool = True) -> MaskToMeasure:
    """Return the mask of an image with what a table says of it."""
    item = session.store[key]
    view = session.views.get(key, item.ref) if with_view else None
    names = session.class_names(key)
    return MaskToMeasure(
        item.name, mask_of(session, key), names, item.spacing_mm, made_by(item), view
    )


def facts_of(session: MaskSession, key: int) -> MaskFacts:
    """Return names and colours of classes and the size of a pixel of an image."""
    return MaskFacts(
        session.class_names(key), session.class_colors(), session.store[key].spacing_mm
    )


def record_of(session: MaskSession, key: int) -> MaskRecord:
    """Return how the mask of an image was made."""
    item = session.store[key]
    return MaskRecord(
        item.name,
        item.model,
        item.made_with,
        item.is_edited,
        session.class_names(key),
        item.spacing_mm,
    )


def made_by(item: MaskImage) -> str:
    """Return what made a mask, in words."""
    parts = [item.model] * bool(item.model) + ["edited by hand"] * item.is_edited
    return ", ".join(parts)


def places_of_masks(
    session: MaskSession, keys: Sequence[int], out: Path, suffix: str = ".png"
) -> list[Path]:
    """Return the files of masks; by the names of all images, so that they stay the same.

    The window is drawn meanwhile: thousands of images are looked up on the disk.
    """
    every = session.store.as_dict()
    refs = [item.ref for item in every.values()]
    found = wait_for(partial(places_apart, refs, out, suffix))
    places = dict(zip(every, found, strict=True))
    return [places[key] for key in keys]


def to_export(
    session: MaskSession, keys: Sequence[int], out: Path, kind: str
) -> list[MaskToExport | VolumeToExport]:
    """Return the files of masks in a format of `io.class_formats.SUFFIXES`, and what they hold.

    One for each image, but as NIfTI the slices of a volume are one file again.
    """
    items = session.store.as_dict()
    volumes = {key for key, item in items.items() if kind == "nifti" and is_nifti(item.ref.path)}
    wholes = {
        key: ImageRef(item.ref.path) if key in volumes else item.ref for key, item in items.items()
    }
    # By the names of all images, so that they stay the same.
    refs = list(dict.fromkeys(wholes.values()))
    found = wait_for(partial(places_apart, refs, out, SUFFIXES[kind]))
    places = dict(zip(refs, found, strict=True))
    slices: dict[Path, dict[int, Mask | Path]] = {}
    names: dict[Path, dict[int, str]] = {}
    made: list[MaskToExport | VolumeToExport] = []
    for key in keys:
        ref, place, mask = items[key].ref, places[wholes[key]], mask_of(session, key)
        if key not in volumes:
            made.append(MaskToExport(mask, place, facts_of(session, key), ref))
            continue
        if ref.path not in slices:
            slices[ref.path], names[ref.path] = {}, {}
            legend = ClassLegend(names[ref.path], session.class_colors())
            made.append(VolumeToExport(ref.path, slices[ref.path], place, legend))
        names[ref.path] |= session.class_names(key)
        slices[ref.path][(ref.page or 1) - 1] = mask
    return made


def ask_place(parent: QWidget, title: str, usual: str, kinds: str) -> Path | None:
    """Ask for a place to write to; None if none was given.

    A name that was typed without a suffix gets that of the `usual` one: other programs would not
    open it. The dialog asked about the name as it was typed, so this asks about what it became.
    """
    name, _ = QFileDialog.getSaveFileName(parent, title, usual, kinds)
    if not name or Path(name).suffix:
        return Path(name) if name else None
    place = Path(name + Path(usual).suffix)
    return place if may_replace(parent, [place], place.parent) else None


def may_replace(parent: QWidget, places: Sequence[Path], out: Path) -> bool:
    """Ask whether files that are there already may be replaced; True if there is none."""
    there = wait_for(partial(_names_there, places))
    if not there:
        return True
    some = ", ".join(there[:_SOME]) + (" ..." if len(there) > _SOME else "")
    text = (
        f"{len(there)} of {len(places)} files are in {str(out)!r} already: {some}\n\n"
        "Replace them? If not, nothing is written."
    )
    return questions.may(parent, "Replace files?", text)


def _names_there(places: Sequence[Path]) -> list[str]:
    """Return the names of files that exist."""
    return [place.name for place in places if place.exists()]
