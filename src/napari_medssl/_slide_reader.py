"""The reader of slides: one multiscale layer each, of which nothing is read before it is seen."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from napari_medssl.io.slides.layer_data import LayerData, slide_layer
from napari_medssl.io.slides.opening import is_slide, open_slide

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def get_slide_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return a reader for slides, None for anything that is none.

    A name that only slides have (.svs, .ndpi, .ome.zarr) is taken as it is, so that a damaged file
    is refused with the reason; a TIFF file or folder is looked into.
    """
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if not paths or not all(is_slide(one) for one in paths):
        return None
    return lambda _: [slide_layer(open_slide(one)) for one in paths]
