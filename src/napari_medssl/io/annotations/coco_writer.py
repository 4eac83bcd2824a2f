"""Write COCO detection files.

Numbers are the shortest decimals that give the same float back, whole ones without a point. If
no `width` leads from x0 to exactly x1 (a box that reaches far to the left of the picture),
`corners` [x0, y0, x1, y1] is added. `score` and `label` (panel letter) are fields of annotations.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.coco import OWN_FIELDS
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.io.files import make_folder, write_whole


def write_coco(
    images: Iterable[ImageBoxes], path: Path, header: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Write `images` to the JSON file `path`, whole or not at all.

    `header` gives the other top-level fields, such as licenses, and the numbers of categories.
    Returns no lines: COCO keeps all that we have.
    """
    listed = list(images)
    fields = dict(header or {})
    categories = _number_categories(fields.pop("categories", None), listed)
    ids = _number_images(listed)
    entries = [
        {"id": number, "file_name": image.file_name, "width": image.width, "height": image.height}
        | {key: value for key, value in image.extra.items() if key not in OWN_FIELDS}
        for number, image in zip(ids, listed, strict=True)
    ]
    numbered = {category["name"]: category["id"] for category in reversed(categories)}
    pairs = [
        (number, box) for number, image in zip(ids, listed, strict=True) for box in image.boxes
    ]
    annotations = [
        {"id": index, "image_id": number, "category_id": numbered[box.category], **_fields(box)}
        for index, (number, box) in enumerate(pairs, start=1)
    ]
    content = fields | {
        "images": entries,
        "annotations": annotations,
        "categories": categories,
    }
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"Cannot write {str(path)!r}: a field of an image cannot be put into JSON ({error})."
        ) from error
    make_folder(path.parent)
    write_whole(path, text + "\n")
    return ()


def _number_categories(known: Any, images: list[ImageBoxes]) -> list[dict[str, Any]]:
    """Return the category entries: those of the file as they were, then those that are missing."""
    entries = [
        entry
        for entry in (known if isinstance(known, list) else [])
        if isinstance(entry, dict)
        and isinstance(entry.get("id"), int)
        and isinstance(entry.get("name"), str)
    ]
    used = dict.fromkeys(box.category for image in images for box in image.boxes)
    missing = [name for name in used if name not in {entry["name"] for entry in entries}]
    if not entries and not missing:
        missing = ["panel"]
    start = max((entry["id"] for entry in entries), default=0) + 1
    return entries + [{"id": start + i, "name": name} for i, name in enumerate(missing)]


def _number_images(images: list[ImageBoxes]) -> list[int | str]:
    """Return an id for each image: the one it came with if nobody else has it, else a new one."""
    taken: set[int | str] = set()
    kept: list[int | str | None] = []
    for image in images:
        identity = image.extra.get("id")
        usable = isinstance(identity, int | str) and identity not in taken
        kept.append(identity if usable else None)
        if usable:
            taken.add(identity)  # type: ignore[arg-type]
    ids: list[int | str] = []
    for position, identity in enumerate(kept, start=1):
        number = position
        while identity is None and number in taken:
            number += 1
        ids.append(number if identity is None else identity)
        taken.add(ids[-1])
    return ids


def _fields(box: Box) -> dict[str, Any]:
    """Return what an annotation says of `box`."""
    width, height = _span(box.x0, box.x1), _span(box.y0, box.y1)
    fields: dict[str, Any] = {
        "bbox": [_plain(v) for v in (box.x0, box.y0, width, height)],
        "area": _plain(box.area),
        "iscrowd": 0,
        "segmentation": [],
    }
    if (box.x0 + width, box.y0 + height) != (box.x1, box.y1):
        fields["corners"] = [_plain(v) for v in (box.x0, box.y0, box.x1, box.y1)]
    if box.score is not None:
        fields["score"] = box.score
    if box.label:
        fields["label"] = box.label
    return fields


def _span(start: float, end: float) -> float:
    """Return the width that, added to `start` in floating point, gives `end`, if there is one."""
    width = end - start
    near = (width, math.nextafter(width, math.inf), math.nextafter(width, -math.inf))
    return next((value for value in near if start + value == end), width)


def _plain(value: float) -> int | float:
    """Return a whole number as int, so that it is written without a point."""
    value = float(value)
    return int(value) if value.is_integer() else value
