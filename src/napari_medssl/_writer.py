"""Save a Shapes layer as boxes for other tools; other shapes are saved by their bounds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl.io.annotations import write_boxes
from napari_medssl.io.boxes import Box, ImageBoxes

_NO_AREA = ("line", "path")


def write_coco(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write the layer as a COCO file; return the path."""
    return _write(path, data, meta, "coco")


def write_voc(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write the layer as a Pascal VOC file; return the path."""
    return _write(path, data, meta, "voc")


def _write(path: str, data: Any, meta: dict[str, Any], file_format: str) -> list[str]:
    remarks = list(write_boxes([as_image_boxes(data, meta)], path, file_format))
    skipped = sum(kind in _NO_AREA for kind in _kinds(data, meta))
    if skipped:
        remarks.append(f"{skipped} lines or paths have no area and were left out.")
    for remark in remarks:
        warnings.warn(remark, stacklevel=3)
    return [path]


def _kinds(data: Sequence[Any], meta: dict[str, Any]) -> list[str]:
    kinds = meta.get("shape_type", "rectangle")
    return [kinds] * len(data) if isinstance(kinds, str) else list(kinds)


def as_image_boxes(data: Sequence[Any], meta: dict[str, Any]) -> ImageBoxes:
    """Return the shapes as boxes, with the image's name and size from the layer's metadata.

    Parameters
    ----------
    data
        Vertices of each shape, (N, D), the last two axes being (y, x).
    meta
        What napari hands to writers: `shape_type`, `features`, `metadata`, `name`.
    """
    boxes = tuple(
        _as_box(vertices, meta.get("features"), row)
        for row, (vertices, kind) in enumerate(zip(data, _kinds(data, meta), strict=True))
        if kind not in _NO_AREA
    )
    about = (meta.get("metadata") or {}).get("medssl", {})
    # A layer drawn by hand knows no image: the boxes' own extent is the least it can be.
    least_width = max((math.ceil(box.x1) for box in boxes), default=1)
    least_height = max((math.ceil(box.y1) for box in boxes), default=1)
    return ImageBoxes(
        file_name=about.get("file_name") or f"{Path(meta.get('name', 'image')).name}",
        width=int(about.get("width") or least_width),
        height=int(about.get("height") or least_height),
        boxes=boxes,
    )


def _as_box(vertices: Any, features: Any, row: int) -> Box:
    points = np.asarray(vertices, dtype=float)[:, -2:] + 0.5  # see _reader: edges lie at halves
    (y0, x0), (y1, x1) = points.min(axis=0), points.max(axis=0)
    score = _feature(features, "score", row)
    is_scored = isinstance(score, (int, float)) and not math.isnan(score)
    return Box(
        float(x0),
        float(y0),
        float(x1),
        float(y1),
        score=float(score) if is_scored else None,
        label=str(_feature(features, "label", row) or ""),
        category=str(_feature(features, "category", row) or "panel"),
    )


def _feature(features: Any, name: str, row: int) -> Any:
    """Return a feature of a shape, None where the layer has none; `features` is a data frame."""
    if features is None or name not in features:
        return None
    column = features[name]
    value = column.iloc[row] if hasattr(column, "iloc") else column[row]
    return value.item() if isinstance(value, np.generic) else value
