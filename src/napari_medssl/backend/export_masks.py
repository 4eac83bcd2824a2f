"""Write masks in other formats, one file each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.export_volumes import VolumeToExport, write_volume_mask
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.measure_masks import (
    MeasureMasksConfig,
    check_fits,
    legend_of,
    list_masks,
    mask_refs,
    pictures_by_stem,
)
from napari_medssl.io.class_formats import (
    SUFFIXES,
    MaskFacts,
    mask_stem,
    picture_stem,
    read_class_mask,
    write_class_mask,
)
from napari_medssl.io.class_volumes import volume_facts
from napari_medssl.io.files import make_folder
from napari_medssl.io.images import ImageRef
from napari_medssl.io.region_pictures import read_region_record


@dataclass(frozen=True)
class ExportMasksConfig(MeasureMasksConfig):
    """Write masks in another format."""

    format: str = option(
        "geojson",
        help="Of the files: png, tiff and nifti hold class numbers; geojson holds outlines for "
        "QuPath, one for each object, geojson-classes one for each class.",
        choices=tuple(SUFFIXES),
    )


@dataclass(frozen=True, slots=True)
class MaskToExport:
    """A mask to write: its class numbers or where they are, where to, what is known.

    `image` is what the mask is of: the file of a region of a slide says where it lies there;
    `as_foreground` takes all but 0 of a file as class 1.
    """

    mask: NDArray[np.uint8] | ImageRef | Path
    place: Path
    facts: MaskFacts
    image: ImageRef | None = None
    as_foreground: bool = False


@dataclass(frozen=True, slots=True)
class ExportJob:
    """Masks to write in a format of `io.class_formats.SUFFIXES`; volumes are written as NIfTI."""

    masks: tuple[MaskToExport | VolumeToExport, ...]
    format: str


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, (name, reason) of what was not, and how many were not begun.

    `bare` counts the slices of volumes that have no mask: in the file they are empty.
    """

    written: tuple[Path, ...]
    failures: tuple[tuple[str, str], ...]
    left: int = 0
    bare: int = 0


def export_masks(
    job: ExportJob, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> ExportReport:
    """Write masks; one that cannot be read or written is a failure, and the rest goes on.

    The size of a pixel that a file tells holds where nothing else is known. Outlines in a region of
    a slide are in level-0 pixels of that slide. Asked to stop, it leaves what is finished.
    """
    written: list[Path] = []
    failures: list[tuple[str, str]] = []
    bare = 0
    for done, one in enumerate(job.masks):
        if should_stop():
            return ExportReport(tuple(written), tuple(failures), len(job.masks) - done, bare)
        on_progress(Progress(done, len(job.masks), one.place.name))
        try:
            if isinstance(one, VolumeToExport):
                bare += write_volume_mask(one, should_stop=should_stop)
            else:
                mask, facts = _read(one)
                write_class_mask(one.place, mask, job.format, facts)
            written.append(one.place)
        except Cancelled:
            return ExportReport(tuple(written), tuple(failures), len(job.masks) - done, bare)
        except UserError as error:
            failures.append((one.place.name, str(error)))
    on_progress(Progress(len(job.masks), len(job.masks), "done"))
    return ExportReport(tuple(written), tuple(failures), bare=bare)


def export_folder(
    folder: Path,
    out: Path,
    config: ExportMasksConfig,
    *,
    images: Path | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ExportReport:
    """Write the masks of a folder in another format to the folder `out`.

    Parameters
    ----------
    folder, out, config
        Files of class numbers, see `list_masks`; where to, and how.
    images
        Folder of the pictures, told by the names without ending: outlines in regions of slides are
        in pixels of the slide then, as `export_masks` says. A mask without a picture is a failure.

    Raises
    ------
    UserError
        If there is no mask, two would share a file, or one would be overwritten.
    """
    check(config)
    paths = list_masks(folder)
    found: list[MaskToExport | VolumeToExport] = []
    failures: list[tuple[str, str]] = []
    pictures = pictures_by_stem(images)
    for path in paths:
        try:
            found += _exports_of(path, out, config, images, pictures)
        except UserError as error:
            failures.append((f"{mask_stem(path)}{SUFFIXES[config.format]}", str(error)))
    _check_places(found, paths, out)
    make_folder(out)
    job = ExportJob(tuple(found), config.format)
    report = export_masks(job, on_progress=on_progress, should_stop=should_stop)
    return replace(report, failures=(*failures, *report.failures))


def _exports_of(
    path: Path,
    out: Path,
    config: ExportMasksConfig,
    images: Path | None,
    pictures: dict[str, ImageRef],
) -> list[MaskToExport | VolumeToExport]:
    """Return what is written of the file of a mask, one file for each slice of a volume.

    As NIfTI the slices are one file again. Pictures say where regions of slides lie, which
    slices of volumes are not.
    """
    suffix, known = SUFFIXES[config.format], volume_facts(path)
    legend = legend_of(path, known, config)
    facts = MaskFacts(legend.names, legend.colors, config.spacing_mm(None))
    refs = mask_refs(path, known)
    if len(refs) == 1:
        picture = pictures.get(mask_stem(path))
        if images is not None and picture is None:
            raise UserError(f"No picture {mask_stem(path)!r} in {str(images)!r}. Put it there.")
        place = out / f"{mask_stem(path)}{suffix}"
        return [MaskToExport(path, place, facts, picture, config.as_foreground)]
    if config.format == "nifti":
        slices = dict(enumerate(refs))
        place = out / f"{mask_stem(path)}{suffix}"
        return [VolumeToExport(path, slices, place, legend, config.as_foreground)]
    return [
        MaskToExport(
            ref, out / f"{picture_stem(ref)}{suffix}", facts, as_foreground=config.as_foreground
        )
        for ref in refs
    ]


def _check_places(
    masks: Sequence[MaskToExport | VolumeToExport], paths: Sequence[Path], out: Path
) -> None:
    """Raise `UserError` if two masks would share a file, or one of `paths` be overwritten."""
    taken: dict[str, str] = {}
    sources = {path.resolve() for path in paths}
    for one in masks:
        place, name = one.place, _source_name(one)
        other = taken.setdefault(place.name.casefold(), name)
        if other != name:
            raise UserError(
                f"{other!r} and {name!r} would both be written to {place.name!r}. Put them into "
                "two folders."
            )
        if place.resolve() in sources:
            raise UserError(
                f"--out {str(out)!r} would overwrite the mask {place.name!r}. Name another folder."
            )


def _source_name(one: MaskToExport | VolumeToExport) -> str:
    if isinstance(one, VolumeToExport):
        return one.volume.name
    return "" if isinstance(one.mask, np.ndarray) else one.mask.name


def _read(one: MaskToExport) -> tuple[NDArray[np.uint8], MaskFacts]:
    record = None if one.image is None else read_region_record(one.image.path)
    facts = one.facts
    if record is not None:
        corner, step = (record.x, record.y), (record.step_x, record.step_y)
        side = facts.spacing_mm or record.spacing_mm
        facts = replace(facts, corner=corner, step=step, spacing_mm=side)
    if isinstance(one.mask, np.ndarray):
        return one.mask.copy(), facts  # a stroke of this very moment may still come in
    mask, spacing = read_class_mask(one.mask, as_foreground=one.as_foreground)
    if record is not None and one.image is not None:  # else it would lie elsewhere on the slide
        ref = one.mask if isinstance(one.mask, ImageRef) else ImageRef(one.mask)
        check_fits(ref, mask.shape, one.image)
    return mask, replace(facts, spacing_mm=spacing or facts.spacing_mm)
