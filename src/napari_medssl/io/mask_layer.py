"""Class numbers of a file as napari's layer data, with the names and colours of their classes.

Only files that say of themselves that they are masks come here: NIfTI by its intent, TIFF by a tag.
PNG says nothing, and were it to, napari would ask for a reader for every PNG file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.class_colors import class_color
from napari_medssl.io.class_formats import mask_stem
from napari_medssl.io.class_legend import NO_LEGEND, ClassLegend
from napari_medssl.io.class_tiff import read_class_tiff, tiff_legend
from napari_medssl.io.class_volumes import read_class_volume, volume_facts

LayerData = tuple[Any, dict[str, Any], str]
OPACITY = 0.6
_CLEAR = "transparent"


def nifti_layer(file: Path) -> LayerData:
    """Return the layer of a NIfTI file, as large as it says, slices first; nothing is turned.

    Raises
    ------
    UserError
        If it cannot be read, or holds other numbers than 0 to 255.
    """
    found = read_class_volume(file)
    classes, spacing = _without_depth(found.classes), found.facts.spacing_mm
    placed: dict[str, Any] = {}
    if spacing is not None:
        placed = {"scale": spacing[-classes.ndim :], "units": ("mm",) * classes.ndim}
    return _layer(file, classes, found.facts.legend, placed)


def tiff_layer(file: Path) -> LayerData:
    """Return the layer of a TIFF file, in pixels, as napari shows pictures; raises as above."""
    legend = tiff_legend(file) or NO_LEGEND
    is_stack = volume_facts(file) is not None
    classes = read_class_volume(file).classes if is_stack else read_class_tiff(file)[0]
    return _layer(file, classes, legend, {})


def _without_depth(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (Y, X) of one slice, (Z, Y, X) of more."""
    return classes[0] if len(classes) == 1 else classes


def _layer(
    file: Path, classes: NDArray[np.uint8], legend: ClassLegend, placed: dict[str, Any]
) -> LayerData:
    """Return class numbers with their names and colours."""
    colors: dict[int | None, str] = {None: _CLEAR, 0: _CLEAR}
    for number in range(1, 256):  # more than there are: a person may paint others
        colors[number] = legend.colors.get(number) or class_color(number)
    names = {0: ""} | {number: f"class {number}" for number in range(1, 256)} | dict(legend.names)
    options: dict[str, Any] = {
        "name": mask_stem(file),
        "colormap": colors,
        "features": {"index": list(names), "class": list(names.values())},
        "opacity": OPACITY,
    }
    return classes, options | placed, "labels"
