"""Landmarks in files: CSV, 3D Slicer, COCO keypoints; CVAT and DeepLabCut to read.

| | read | written | places | state, score |
|---|---|---|---|---|
| CSV | yes | yes | every bit | both |
| 3D Slicer `.mrk.json` | one image a file | yes | in mm, to 1e-9 | all but "found"; no score |
| 3D Slicer `.fcsv` | one image a file | yes | in mm, to 1e-9 | all but "found"; no score |
| 3D Slicer CSV, TSV | one image a file | no | in mm | |
| COCO keypoints | yes | yes | every bit | both |
| CVAT XML | yes | no | | |
| DeepLabCut CSV | yes | no | | |

Places are in pixels, x right, y down, the centre of the top left pixel at (0, 0); see `landmark`.
They are never rounded or clamped here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.names import unique_stems
from napari_medssl.io.files import make_folder
from napari_medssl.io.image_names import clean_image_name
from napari_medssl.io.landmarks.coco_writer import write_coco
from napari_medssl.io.landmarks.detect import read_file, read_folder
from napari_medssl.io.landmarks.fcsv import write_fcsv
from napari_medssl.io.landmarks.grid import SliceGrid
from napari_medssl.io.landmarks.landmark import (
    NO_NAME,
    STATES,
    ImageLandmarks,
    Landmark,
    LandmarkFile,
    State,
    clean_name,
)
from napari_medssl.io.landmarks.slicer import check_one_image, write_slicer
from napari_medssl.io.landmarks.table import write_table

__all__ = [
    "FORMATS",
    "NO_NAME",
    "STATES",
    "ImageLandmarks",
    "Landmark",
    "LandmarkFile",
    "SliceGrid",
    "State",
    "clean_name",
    "format_of",
    "read_landmarks",
    "slicer_file_names",
    "write_landmarks",
]

FORMATS = {"csv": ".csv", "slicer": ".mrk.json", "fcsv": ".fcsv", "coco": ".json"}
"""Formats that `write_landmarks` writes, with their suffix."""


def read_landmarks(path: str | os.PathLike[str], *, grid: SliceGrid | None = None) -> LandmarkFile:
    """Return the landmarks in the file `path`, or in a folder of point lists of 3D Slicer.

    The format is told by the content. `grid` says where the pixels lie in the body, for 3D Slicer;
    without it the image is a picture of 1 mm a pixel, in the plane of its points.

    Raises
    ------
    UserError
        If the file is missing, damaged, too large, or holds no landmarks. One thing that cannot be
        understood refuses all of it; shapes that are no landmarks are told in `notes`.
    """
    place = Path(path)
    return read_folder(place, grid) if place.is_dir() else read_file(place, grid)


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the suffix of `path` asks for; `UserError` if it is none."""
    name = Path(path).name.lower()
    found = next((key for key, suffix in FORMATS.items() if name.endswith(suffix)), None)
    if found is None:
        raise UserError(
            f"No format for landmarks goes by the name {Path(path).name!r}. "
            f"End it in {', '.join(FORMATS.values())}, or name the format."
        )
    return found


def write_landmarks(
    images: Iterable[ImageLandmarks],
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 (the word that people use)
    *,
    grid: SliceGrid | None = None,
    with_mm: bool = False,
) -> tuple[str, ...]:
    """Write `images` to `path`, in the format of its suffix or the one named (see `FORMATS`).

    3D Slicer takes one image a file: for "slicer" and "fcsv" a `path` without their suffix is a
    folder, in which every image has a file of its name. `grid` says where the pixels lie;
    without it they have the spacing of the image, or 1 mm, and the first lies at the origin.
    `with_mm` adds columns in mm to CSV. Every file is written whole or not at all.

    Returns
    -------
    tuple of str
        Lines about what the format cannot hold, to be shown to the person.

    Raises
    ------
    UserError
        If there is nothing to write, two images have one name, the format is not known or cannot
        hold the images, or the file cannot be written.
    """
    listed = list(images)
    place = Path(path)
    kind = format_of(place) if format is None else format
    if kind not in FORMATS:
        raise UserError(f"No format {kind!r} for landmarks. Choose one of {', '.join(FORMATS)}.")
    _check(listed, place)
    if kind in ("slicer", "fcsv"):
        return _write_slicer(listed, place, kind, grid)
    make_folder(place.parent)
    if kind == "coco":
        return write_coco(listed, place)
    bare = sum(not image.landmarks for image in listed)
    told = (f"CSV has no place for images without landmarks: {bare} left out",) if bare else ()
    return (*told, *write_table(listed, place, with_mm=with_mm))


def slicer_file_names(images: Sequence[str], suffix: str = FORMATS["slicer"]) -> list[str]:
    """Return the names of the files that images of these names get in a folder for 3D Slicer."""
    return [f"{stem}{suffix}" for stem in unique_stems(list(images))]


def _check(images: list[ImageLandmarks], path: Path) -> None:
    """Refuse what could not be read back."""
    if not any(image.landmarks for image in images):
        raise UserError(f"Nothing to write to {str(path)!r}: no image has landmarks. Place some.")
    twice = _repeated(image.image for image in images)
    if twice is not None or (len(images) > 1 and not all(image.image for image in images)):
        what = "one has no name" if twice is None else f"two are named {twice!r}"
        raise UserError(f"Cannot write {str(path)!r}: of its images {what}. Name them apart.")
    for image in images:
        again = _repeated(landmark.label for landmark in image.landmarks)
        if again is not None or image.image != clean_image_name(image.image):
            what = f"has {again!r} twice" if again else "has a name that is no line of text"
            raise UserError(
                f"Cannot write {str(path)!r}: the image {image.image!r} {what}. Name it otherwise."
            )


def _repeated(names: Iterable[str]) -> str | None:
    """Return the first of `names` that comes twice, None if there is none."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _write_slicer(
    images: list[ImageLandmarks], path: Path, kind: str, grid: SliceGrid | None
) -> tuple[str, ...]:
    write = write_slicer if kind == "slicer" else write_fcsv
    suffix = FORMATS[kind]
    if path.name.lower().endswith((suffix, ".json")):
        check_one_image(len(images), path)
        make_folder(path.parent)
        return write(images[0], path, _grid_of(images[0], grid))
    make_folder(path)
    names = slicer_file_names([image.image for image in images], suffix)
    told = [
        line
        for name, image in zip(names, images, strict=True)
        for line in write(image, path / name, _grid_of(image, grid))
    ]
    return tuple(dict.fromkeys(told))


def _grid_of(image: ImageLandmarks, grid: SliceGrid | None) -> SliceGrid:
    """Return the grid that was given, else the usual one with the spacing of the image."""
    if grid is not None or image.spacing_mm is None:
        return grid or SliceGrid()
    return replace(SliceGrid(), spacing_mm=image.spacing_mm)
