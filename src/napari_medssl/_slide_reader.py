"""The reader of slides: one multiscale layer each, of which nothing is read before it is seen.

napari asks which reader is to open a file whose suffix several claim, and can remember the answer
for that suffix. Among TIFF, DICOM and zarr are pictures that are no slides; they are handed on to
napari's own reader, so that one answer serves for all files of the suffix.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.class_tiff import tiff_legend
from napari_medssl.io.mask_layer import tiff_layer
from napari_medssl.io.slides.layer_data import LayerData, slide_layer
from napari_medssl.io.slides.opening import is_slide, open_slide

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Reader = Callable[[PathOrPaths], list[LayerData]]

_SHARED_SUFFIXES = (".tif", ".tiff", ".dcm")


def get_slide_reader(path: PathOrPaths) -> Reader | None:
    """Return a reader for slides, None for anything that is none.

    A name that only slides have (.svs, .ndpi, .ome.zarr) is taken as it is, so that a damaged file
    is refused with the reason; a TIFF or DICOM file or a folder is looked into. Pictures among
    those are read by napari; masks among them that say so become Labels.
    """
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if not paths:
        return None
    if all(is_slide(one) for one in paths):
        if any(_is_plain_zarr(one) for one in paths):
            return _read_slides_or_arrays
        return _read_slides
    if all(_is_picture_name(one) for one in paths):
        if all(tiff_legend(Path(one)) is not None for one in paths):
            return lambda _: [tiff_layer(Path(one)) for one in paths]
        return _napari_reader(path)
    return None


def _read_slides(path: PathOrPaths) -> list[LayerData]:
    paths = [path] if isinstance(path, (str, os.PathLike)) else path
    return [slide_layer(open_slide(one)) for one in paths]


def _read_slides_or_arrays(path: PathOrPaths) -> list[LayerData]:
    """Read zarr that may hold slides or other arrays, which napari knows."""
    try:
        return _read_slides(path)
    except UserError:
        return _napari_reader(path)(path)


def _is_plain_zarr(path: str | os.PathLike[str]) -> bool:
    name = Path(path).name.lower()
    return name.endswith(".zarr") and not name.endswith(".ome.zarr") and Path(path).is_dir()


def _is_picture_name(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() in _SHARED_SUFFIXES and Path(path).is_file()


def _napari_reader(path: PathOrPaths) -> Reader:
    """Return napari's own reader of pictures; napari is loaded already, for it calls us."""
    from napari_builtins.io import napari_get_reader

    reader: Any = napari_get_reader(path)
    return reader  # type: ignore[no-any-return]
