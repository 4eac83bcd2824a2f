"""Masks that were exported, in napari again: NIfTI as Labels, outlines in GeoJSON as Shapes.

A scan in NIfTI is left to other readers. Masks in TIFF come by `_slide_reader`: of two readers of a
plugin for one suffix napari takes any.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_colors import class_color
from napari_medssl.io.class_volumes import is_class_volume
from napari_medssl.io.mask_layer import OPACITY, nifti_layer

if TYPE_CHECKING:
    from napari_medssl.io.geojson import Feature

LayerData = tuple[Any, dict[str, Any], str]
PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_MOST_OUTLINES = 5000  # napari takes half a minute and more to draw many more


def get_mask_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return a reader for masks in NIfTI and outlines in GeoJSON, None for any other file."""
    places = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    files = [Path(one) for one in places]
    if not files or not all(_is_outlines(file) or is_class_volume(file) for file in files):
        return None  # a scan in NIfTI: another reader may know it
    return lambda _: [
        _outlines(file) if _is_outlines(file) else nifti_layer(file) for file in files
    ]


def _is_outlines(file: Path) -> bool:
    return file.name.lower().endswith(".geojson") and file.is_file()


def _outlines(file: Path) -> LayerData:
    """Return a polygon for each piece, in the coordinates of the file, with the class's colour."""
    from napari_medssl.io.geojson import flatten, read_geojson

    found = [
        (outline, feature)
        for feature in flatten(read_geojson(file).features)
        for outline in _pieces(feature)
    ]
    if not found:
        raise UserError(f"{file.name!r} holds no outline of an area; due is GeoJSON with polygons.")
    if len(found) > _MOST_OUTLINES:
        warnings.warn(
            f"{file.name!r} holds {len(found):,} outlines; the first {_MOST_OUTLINES:,} are shown. "
            "Export classes instead of objects, or NIfTI.",
            stacklevel=2,
        )
        found = found[:_MOST_OUTLINES]
    colors = [_color(feature) for _, feature in found]
    options: dict[str, Any] = {
        "name": file.stem,
        "shape_type": "polygon",
        "features": {"class": [feature.class_name for _, feature in found]},
        "face_color": colors,
        "edge_color": colors,
        "edge_width": 0,
        "opacity": OPACITY,
    }
    return [outline for outline, _ in found], options, "shapes"


def _pieces(feature: Feature) -> Iterator[NDArray[np.float64]]:
    """Give the rings of each polygon of a feature as one path, shape (N, 2), as (y, x)."""
    shape = feature.roi.shape
    for part in getattr(shape, "geoms", [shape]):
        if part.geom_type != "Polygon":
            continue
        rings = [np.asarray(ring.coords)[:, :2] for ring in (part.exterior, *part.interiors)]
        # From the outline to each hole and back: what is passed twice bounds nothing.
        path = [rings[0], *(row for ring in rings[1:] for row in (ring, rings[0][:1]))]
        # A pixel's centre has whole coordinates in napari, so its edges lie at halves.
        yield np.concatenate(path)[:, ::-1] - 0.5


def _color(feature: Feature) -> str:
    """Return the colour of a feature, or of its class, as "#rrggbb"."""
    color = feature.color or feature.class_color
    return class_color(1) if color is None else "#{:02x}{:02x}{:02x}".format(*color)
