"""The formats in which masks leave: PNG, TIFF, NIfTI, and outlines in GeoJSON for QuPath."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_colors import class_color, color_of
from napari_medssl.io.class_files import class_png, is_other_png, read_class_file
from napari_medssl.io.class_legend import ClassLegend
from napari_medssl.io.class_nifti import class_nifti
from napari_medssl.io.class_tiff import class_tiff, read_class_tiff
from napari_medssl.io.class_volumes import read_class_slice, read_one_slice
from napari_medssl.io.files import write_whole
from napari_medssl.io.images import ImageRef
from napari_medssl.io.mask_values import class_numbers, read_mask_values

SUFFIXES = {
    "png": ".png",
    "tiff": ".tif",
    "nifti": ".nii.gz",
    "geojson": ".geojson",
    "geojson-classes": ".geojson",
}
"""Formats by name, with the ending of their files; the two of GeoJSON are one feature for each
object and one for each class."""

READABLE = {
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".nii": "nifti",
    ".gz": "nifti",
    ".zarr": "zarr",
}
"""Endings of files, or folders of zarr, from which masks can be read, in lower case."""

Spacing = tuple[float, float]


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """What is known of a mask besides its pixels.

    Attributes
    ----------
    names, colors
        Of classes by number; a colour is "#rrggbb", by default that of `class_color`.
    spacing_mm
        Distance of pixels `(x, y)`, None where it is not known.
    corner, step
        Where the image lies on a slide: its corner `(x, y)` in level-0 pixels, and how many of
        those make a pixel. Outlines are written in these coordinates.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)
    spacing_mm: Spacing | None = None
    corner: tuple[float, float] = (0.0, 0.0)
    step: tuple[float, float] = (1.0, 1.0)

    @property
    def legend(self) -> ClassLegend:
        """Names and colours alone."""
        return ClassLegend(self.names, self.colors)


def write_class_mask(path: Path, mask: NDArray[np.uint8], kind: str, facts: MaskFacts) -> None:
    """Write a mask in one of the formats of `SUFFIXES`, whole or not at all.

    Parameters
    ----------
    path
        Where; its ending is not looked at.
    mask
        Class numbers, uint8, shape (Y, X).
    kind
        The format.
    facts
        See `MaskFacts`; PNG holds none of them.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    if kind in ("geojson", "geojson-classes"):
        _write_outlines(path, mask, facts, is_by_class=kind == "geojson-classes")
    elif kind == "tiff":
        write_whole(path, class_tiff(mask, facts.spacing_mm, facts.legend))
    elif kind == "nifti":
        write_whole(path, class_nifti(mask, facts.spacing_mm, facts.legend))
    elif kind == "png":
        write_whole(path, class_png(mask))
    else:
        raise UserError(f"Format {kind!r} is unknown; choose one of {', '.join(SUFFIXES)}.")


def read_class_mask(
    ref: ImageRef | Path, *, as_foreground: bool = False
) -> tuple[NDArray[np.uint8], Spacing | None]:
    """Return the class numbers of PNG, TIFF, NIfTI or zarr, and the size of a pixel if it tells.

    Of a volume the slice is meant that the page of `ref` names. Numbers of more than 8 bits are
    read where they are those of classes.

    Parameters
    ----------
    as_foreground
        Whether all but 0 is class 1, as where the values number objects.

    Raises
    ------
    UserError
        If it is missing, damaged or of another kind.
    """
    path, page = (ref.path, ref.page) if isinstance(ref, ImageRef) else (ref, None)
    if page is not None:
        return read_class_slice(path, page - 1, as_foreground=as_foreground)
    kind = READABLE.get(path.suffix.lower())
    if kind == "tiff":
        return read_class_tiff(path, as_foreground=as_foreground)
    if kind in ("nifti", "zarr"):
        return read_one_slice(path, as_foreground=as_foreground)
    if kind == "png":
        values = read_mask_values(ImageRef(path)) if is_other_png(path) else read_class_file(path)
        return class_numbers(values, path.name, as_foreground=as_foreground), None
    raise UserError(
        f"{path.name!r} is no mask: due is a PNG, TIFF (.tif) or NIfTI (.nii.gz) file, or a zarr "
        "folder, of class numbers."
    )


def picture_stem(ref: ImageRef) -> str:
    """Return what the mask of a picture is called without ending: "heart-p3" of page 3."""
    stem = mask_stem(ref.path)
    return stem if ref.page is None else f"{stem}-p{ref.page}"


def mask_stem(path: Path) -> str:
    """Return the name of a mask's file without its ending, both of ".nii.gz"."""
    stem = path.stem
    return stem[:-4] if path.name.lower().endswith(".nii.gz") else stem


def _write_outlines(
    path: Path, mask: NDArray[np.uint8], facts: MaskFacts, *, is_by_class: bool
) -> None:
    import shapely

    from napari_medssl.io.class_polygons import joined, object_shapes
    from napari_medssl.io.geojson import Feature, Roi, write_geojson

    corner, step = np.array(facts.corner), np.array(facts.step)
    features = []
    for number in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist():
        if not number:
            continue
        shapes = object_shapes(mask == number)
        name = facts.names.get(number, f"class {number}")
        color = color_of(facts.colors.get(number) or class_color(number))
        for shape in [joined(shapes)] if is_by_class else shapes:
            placed = shapely.transform(shape, lambda xy: xy * step + corner)
            features.append(Feature(Roi(placed), class_name=name, class_color=color))
    write_geojson(features, path)
