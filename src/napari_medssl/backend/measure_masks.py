"""Measure the masks of a folder: a table of the classes of each, and one of all together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.mask_areas import (
    MaskToMeasure,
    MeasuredMask,
    measure_mask,
    write_measured,
)
from napari_medssl.backend.mask_meaning import FOREGROUND
from napari_medssl.backend.mask_summary import ClassSummary, summarize, write_summary
from napari_medssl.backend.mask_volumes import MeasuredVolume, write_volumes
from napari_medssl.io.class_formats import (
    READABLE,
    Spacing,
    mask_stem,
    picture_stem,
    read_class_mask,
)
from napari_medssl.io.class_legend import NO_LEGEND, ClassLegend
from napari_medssl.io.class_tiff import tiff_legend
from napari_medssl.io.class_volumes import VolumeFacts, pixel_side, volume_facts
from napari_medssl.io.images import ImageRef, image_size, natural_key, scan_images
from napari_medssl.io.pixel_size import pixel_size
from napari_medssl.io.volumes import is_zarr


@dataclass(frozen=True)
class MeasureMasksConfig:
    """Measure the classes of masks: areas, objects, parts of the image."""

    pixel_size: float = option(
        0.0, help="Side of a pixel, where the file does not say it; 0 if unknown.", min=0.0,
        unit="mm",
    )  # fmt: skip
    names: tuple[str, ...] = option(
        (), help="What class 1 is called; given again, class 2 and so on."
    )

    mask_values: str = option(
        "classes",
        help="What values of masks are: numbers of classes, or all but 0 foreground, as where they "
        "number objects.",
        choices=("classes", "foreground"),
    )

    @property
    def as_foreground(self) -> bool:
        """Whether all but 0 is one class."""
        return self.mask_values == "foreground"

    def spacing_mm(self, found: Spacing | None) -> Spacing | None:
        """Return the size of a pixel: that of the file, or else the one given."""
        if found is not None or not self.pixel_size:
            return found
        return self.pixel_size, self.pixel_size

    def class_names(self) -> dict[int, str]:
        """Return the names by number."""
        return dict(enumerate(self.names, start=1))


@dataclass(frozen=True, slots=True)
class MeasureMasksReport:
    """What was measured.

    Attributes
    ----------
    files, images, rows
        Files that were measured; their pictures, of which each slice of a volume is one; rows of
        the table.
    summary
        The classes over all pictures.
    volumes
        The volumes among the files.
    failures
        (name, reason) of masks that are not in the table.
    notes
        Why masks have no field of view.
    """

    files: int
    images: int
    rows: int
    summary: tuple[ClassSummary, ...]
    volumes: tuple[MeasuredVolume, ...]
    failures: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def list_masks(folder: Path) -> tuple[Path, ...]:
    """Return the files of masks in a folder, and folders of zarr, in the order of their names.

    Raises
    ------
    UserError
        If it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise UserError(f"{str(folder)!r} is no folder. Give the folder that holds the masks.")
    found = [
        p
        for p in folder.iterdir()
        if p.suffix.lower() in READABLE
        and (is_zarr(p) if READABLE[p.suffix.lower()] == "zarr" else p.is_file())
    ]
    kept = [p for p in found if p.suffix.lower() != ".gz" or p.name.lower().endswith(".nii.gz")]
    if not kept:
        raise UserError(
            f"{str(folder)!r} holds no mask: due are PNG, TIFF (.tif) or NIfTI (.nii.gz) files, or "
            "zarr folders, of class numbers, as medssl segment writes them."
        )
    return tuple(sorted(kept, key=lambda path: natural_key(path.name)))


def pictures_by_stem(folder: Path | None) -> dict[str, ImageRef]:
    """Return the pictures of a folder by the names of their masks; none of no folder."""
    if folder is None:
        return {}
    return {picture_stem(ref): ref for ref in scan_images([folder], slices=True).refs}


def mask_refs(path: Path, facts: VolumeFacts | None) -> tuple[ImageRef, ...]:
    """Return the slices of a mask by what its header tells; the file itself if it has only one."""
    depth = 1 if facts is None else facts.shape[0]
    if depth == 1:
        return (ImageRef(path),)
    return tuple(ImageRef(path, page) for page in range(1, depth + 1))


def legend_of(path: Path, facts: VolumeFacts | None, config: MeasureMasksConfig) -> ClassLegend:
    """Return what classes are called: the names that were given before those of the file."""
    if config.as_foreground:
        return ClassLegend({1: config.class_names().get(1, FOREGROUND)})
    known = tiff_legend(path) if facts is None else facts.legend
    found = known or NO_LEGEND
    return ClassLegend(dict(found.names) | config.class_names(), found.colors)


def check_fits(mask: ImageRef, shape: tuple[int, ...], picture: ImageRef) -> None:
    """Raise `UserError` if a mask, of the shape (Y, X), is not of the size of its picture."""
    width, height = image_size(picture)
    if shape != (height, width):
        raise UserError(
            f"{mask.name} has {shape[1]} x {shape[0]} pixels, its picture "
            f"{picture.name} {width} x {height}. Due is a mask of the size of the picture."
        )


def measure_masks(
    folder: Path,
    out: Path,
    config: MeasureMasksConfig,
    *,
    images: Path | None = None,
    summary: Path | None = None,
    volumes: Path | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> MeasureMasksReport:
    """Measure every mask of a folder and write a CSV table, a row for each class of each.

    A volume is measured slice by slice, each as a picture of its own.

    Parameters
    ----------
    folder
        Files of class numbers, see `list_masks`.
    out
        The table, see `backend.mask_areas.HEADER`.
    config
        See `MeasureMasksConfig`.
    images
        Folder of the pictures, told by the names of their masks; they give the field of view, and
        those that tell it the size of a pixel, where the mask does not (`io.pixel_size`).
    summary
        A second table, of all masks together; see `backend.mask_summary.SUMMARY_HEADER`.
    volumes
        A table of the classes of each volume; see `backend.mask_volumes.VOLUMES_HEADER`.

    Raises
    ------
    UserError
        If there is no mask, none can be read, or a table cannot be written.
    Cancelled
        If `should_stop` said so; nothing is written then.
    """
    check(config)
    paths = list_masks(folder)
    pictures = pictures_by_stem(images)
    measured: list[MeasuredMask] = []
    solids: list[MeasuredVolume] = []
    failures: list[tuple[str, str]] = []
    notes: list[str] = []

    def tell(done: int, name: str) -> None:
        if should_stop():
            raise Cancelled("Stopped; no table was written.")
        on_progress(Progress(done, len(paths), name))

    for done, path in enumerate(paths):
        tell(done, path.name)
        try:
            found, told = _measure_file(path, config, pictures, partial(tell, done))
        except UserError as error:
            failures.append((path.name, str(error)))
            continue
        measured += found.slices
        solids += [found] * (len(found.slices) > 1)
        if images is not None and all(one.of.view is None for one in found.slices):
            told = [f"{path.name}: no picture {mask_stem(path)!r} in {str(images)!r}."]
        notes += told
    if not measured:
        raise UserError(f"No mask of {str(folder)!r} can be read: {failures[0][1]}")
    rows, classes = write_measured(out, measured), summarize(measured)
    if summary is not None:
        write_summary(summary, classes)
    if volumes is not None:
        write_volumes(volumes, solids)
    on_progress(Progress(len(paths), len(paths), "done"))
    count = len(paths) - len(failures)
    return MeasureMasksReport(
        count, len(measured), rows, classes, tuple(solids), tuple(failures), tuple(notes)
    )


def _measure_file(
    path: Path,
    config: MeasureMasksConfig,
    pictures: dict[str, ImageRef],
    tell: Callable[[str], None],
) -> tuple[MeasuredVolume, list[str]]:
    """Return the slices of a mask, one of a picture, and why they have no field of view."""
    facts = volume_facts(path)
    measured: list[MeasuredMask] = []
    notes: list[str] = []
    for ref in mask_refs(path, facts):
        tell(ref.name)
        found, note = measure_mask(_to_measure(ref, facts, config, pictures.get(picture_stem(ref))))
        measured.append(found)
        notes += [note] * bool(note)
    # One line for each file: what ails a volume ails all its slices.
    voxel = None if facts is None else facts.voxel_mm3
    return MeasuredVolume(path.name, voxel, tuple(measured)), notes[:1]


def _to_measure(
    ref: ImageRef, facts: VolumeFacts | None, config: MeasureMasksConfig, picture: ImageRef | None
) -> MaskToMeasure:
    """Return a mask with its picture; UserError if they are not of one size."""
    mask: NDArray[np.uint8] | ImageRef
    if ref.page is None or facts is None:
        mask, spacing = read_class_mask(ref, as_foreground=config.as_foreground)
        shape: tuple[int, ...] = mask.shape
    else:  # read when it is measured: a volume has hundreds
        mask, spacing, shape = ref, pixel_side(facts.spacing_mm), facts.shape[1:]
    if picture is not None:
        check_fits(ref, shape, picture)
        if spacing is None:
            spacing = pixel_size(picture.path)
    name = ref.name if picture is None else picture.name
    names = legend_of(ref.path, facts, config).names
    side = config.spacing_mm(spacing)
    return MaskToMeasure(name, mask, names, side, "", picture, config.as_foreground)
