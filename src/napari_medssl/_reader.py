"""Box files of annotation tools as Shapes layers: one layer an image."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import BoxFile, read_boxes
from napari_medssl.io.boxes import Box, ImageBoxes

LayerData = tuple[Any, dict[str, Any], str]
PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

# More layers than this make napari's layer list useless; the widget opens such files whole.
_MOST_LAYERS = 50


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return a reader for a COCO, Pascal VOC or labelme file, None for any other file."""
    if isinstance(path, (str, os.PathLike)):
        path = [path]
    read: list[BoxFile] = []
    for one in path:
        try:
            read.append(read_boxes(one))
        except UserError:
            return None  # JSON and XML hold many other things; another reader may know them
    return lambda _: [layer for boxes in read for layer in _as_layers(boxes)]


def _as_layers(boxes: BoxFile) -> list[LayerData]:
    if len(boxes.images) > _MOST_LAYERS:
        warnings.warn(
            f"The file has boxes of {len(boxes.images)} images; the first {_MOST_LAYERS} are "
            "shown. Open it in the widget 'Figure separation' to see all.",
            stacklevel=2,
        )
    layers = [_as_layer(image) for image in boxes.images[:_MOST_LAYERS]]
    for _, options, _ in layers[1:]:
        options["visible"] = False
    return layers


def _as_layer(image: ImageBoxes) -> LayerData:
    features = {
        "label": [box.label for box in image.boxes],
        "category": [box.category for box in image.boxes],
        "score": [np.nan if box.score is None else box.score for box in image.boxes],
    }
    about = {"file_name": image.file_name, "width": image.width, "height": image.height}
    options: dict[str, Any] = {
        "name": f"{image.file_name} boxes",
        "features": features,
        "metadata": {"medssl": about},
        "edge_color": "#ffb000",
        "edge_width": max(1.0, max(image.width, image.height) / 400),
        "face_color": "transparent",
    }
    if image.boxes:  # napari wants no shape type for an empty layer
        options["shape_type"] = "rectangle"
    return [_corners(box) for box in image.boxes], options, "shapes"


def _corners(box: Box) -> np.ndarray:
    """Return the corners, shape (4, 2), as (y, x).

    A pixel's centre has whole coordinates in napari, so its edges lie at halves.
    """
    x0, y0, x1, y1 = (value - 0.5 for value in (box.x0, box.y0, box.x1, box.y1))
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])
