"""Classes of regions with their colours, and the list of them in the form of QuPath.

QuPath keeps the classes of a project in `classifiers/classes.json`; the same text is written and
read here, so that a list can be carried from one program, or one slide, to the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.documents import parse_json, read_text, show
from napari_medssl.io.color import Color
from napari_medssl.io.files import write_whole
from napari_medssl.state.colors import check_color, next_color


@dataclass(frozen=True, slots=True)
class RegionClass:
    """A class of regions. A name with ": " in it is that of a derived class of QuPath."""

    name: str
    color: Color


DEFAULT_CLASSES = (
    RegionClass("Tumor", (200, 0, 0)),
    RegionClass("Stroma", (150, 200, 150)),
    RegionClass("Immune cells", (160, 90, 160)),
    RegionClass("Necrosis", (50, 50, 50)),
    RegionClass("Other", (255, 200, 0)),
)
"""What a new list starts with: the names and colours of QuPath."""


def write_classes(classes: Iterable[RegionClass], path: Path) -> None:
    """Write a list of classes, whole or not at all; UserError if that cannot be."""
    listed = [{"name": item.name, "color": list(item.color)} for item in classes]
    write_whole(path, json.dumps({"pathClasses": listed}, ensure_ascii=False, indent=1))


def read_classes(path: Path) -> tuple[RegionClass, ...]:
    """Return the list of classes of a file, ours or that of a QuPath project.

    Raises
    ------
    UserError
        If it cannot be read or is no such list.
    """
    content = parse_json(read_text(path), path)
    listed = content.get("pathClasses") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise UserError(
            f"Cannot read {str(path)!r}: a list 'pathClasses' was due, not {show(content)}."
        )
    found: dict[str, RegionClass] = {}
    for item in listed:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name:
            continue  # QuPath keeps an empty class for "none"
        color = _color(item.get("color", item.get("colorRGB")))
        color = color or next_color(known.color for known in found.values())
        found.setdefault(name, RegionClass(name, color))
    return tuple(found.values())


def _color(value: object) -> Color | None:
    if isinstance(value, int):
        return value >> 16 & 255, value >> 8 & 255, value & 255
    try:
        return check_color(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
