"""labelme: one JSON file for each picture, with `shapes`.

Rectangles come as they are, polygons, circles, turned rectangles and masks by their bounds.
Points, lines and line strips have no inside: they are skipped, each with a line in the report.
Read only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import names
from napari_medssl.io.annotations.documents import show
from napari_medssl.io.annotations.report import BoxFile, Report
from napari_medssl.io.annotations.shapes import (
    Bounds,
    as_side,
    circle_bounds,
    has_area,
    make_box,
    point_bounds,
)
from napari_medssl.io.boxes import Box, ImageBoxes

_LEAST_POINTS = {"rectangle": 2, "polygon": 3, "oriented_rectangle": 3, "mask": 2}
_NO_INSIDE = frozenset(("point", "points", "line", "linestrip"))


def looks_like_labelme(content: Any) -> bool:
    """Say whether parsed JSON is meant as a labelme file."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read_labelme(
    content: Any, path: Path, root: Path | None = None, images: Path | None = None
) -> BoxFile:
    """Return the boxes in the parsed JSON `content` of the file `path`; see `read_voc`."""
    root = root or path.parent
    if not looks_like_labelme(content):
        raise UserError(f"Cannot read {str(path)!r}: a labelme file has a list of 'shapes'.")
    report = Report(path.name)
    boxes = []
    for position, shape in enumerate(content["shapes"], start=1):
        box = _read_shape(shape, f"shape {position}", report)
        if box is not None:
            boxes.append(box)
    name = content.get("imagePath")
    name = name if isinstance(name, str) and name else path.stem
    if not names.is_safe_name(name):
        report.note(f"image {show(name)} is outside the folder: its name is kept, not its file")
    picture = names.find_picture(name, path.parent, root, images)
    stated = as_side(content.get("imageWidth")), as_side(content.get("imageHeight"))
    width, height = names.stated_or_real_size(*stated, picture)
    if not width:
        report.note(f"image {show(name)} has no usable size")
    if picture is not None and images is None:
        name = names.relative_name(picture, root)
    image = ImageBoxes(name, width, height, tuple(boxes))
    return report.box_file([image], root)


def _read_shape(shape: Any, what: str, report: Report) -> Box | None:
    if not isinstance(shape, dict):
        report.fail(what, f"an object was due, not {show(shape)}")
        return None
    kind = shape.get("shape_type") or "polygon"  # files of the first versions state none
    if isinstance(kind, str) and kind in _NO_INSIDE:
        report.skip(f"{what} ({show(shape.get('label'))})", f"a {kind} has no inside")
        return None
    bounds = _bounds(kind, shape.get("points"))
    if bounds is None:
        report.fail(what, f"{show(kind)} with the points {show(shape.get('points'))}")
        return None
    if not has_area(bounds):
        report.fail(what, f"{show(kind)} without area at {show(list(bounds[:2]))}")
        return None
    label = shape.get("label")
    return make_box(bounds, label if isinstance(label, str) and label else "panel")


def _bounds(kind: Any, points: Any) -> Bounds | None:
    if kind == "circle":
        return circle_bounds(points)
    if not isinstance(kind, str) or kind not in _LEAST_POINTS or not isinstance(points, list):
        return None
    bounds = point_bounds(points) if len(points) >= _LEAST_POINTS[kind] else None
    if kind == "mask" and bounds is not None:
        # The two points of a mask are its first and last pixel, both inside.
        return bounds[0], bounds[1], bounds[2] + 1, bounds[3] + 1
    return bounds
