"""Named lists of landmarks that are kept in versions and used again, for any set of images.

A folder of the user holds a JSON file per version, `NAME.1.json`, `NAME.2.json` ...: a version is
never changed once it is there. Only names, colours and words are kept, no places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.documents import parse_json, read_text
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.io.landmarks import clean_name
from napari_medssl.state.landmark_items import LandmarkName, fit_item
from napari_medssl.state.landmarks import LandmarkStore
from napari_medssl.state.project_files import BAD_FILE

_FORMAT = "napari-medssl landmark template"
_FILE = re.compile(r"(?P<name>.+)\.(?P<version>[1-9][0-9]{0,8})\.json")


@dataclass(frozen=True, slots=True)
class LandmarkTemplate:
    """An ordered list of landmarks under a name; `version` counts from 1."""

    name: str
    version: int
    landmarks: tuple[LandmarkName, ...]
    measurements: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name and version: "cephalometry 3"."""
        return f"{self.name} {self.version}"


def templates_folder() -> Path:
    """Return the folder of the templates, which need not exist."""
    folder = Path(platformdirs.user_data_dir("napari-medssl", appauthor=False))
    return folder / "landmark templates"


def list_templates(folder: Path | None = None) -> list[tuple[str, int]]:
    """Return name and version of every template, by name, the newest version first."""
    found = []
    for path in (folder or templates_folder()).glob("*.json"):
        match = _FILE.fullmatch(path.name)
        if match:
            found.append((match["name"], int(match["version"])))
    return sorted(found, key=lambda pair: (pair[0].casefold(), -pair[1]))


def save_template(
    name: str,
    landmarks: Iterable[LandmarkName],
    measurements: Iterable[str] = (),
    folder: Path | None = None,
) -> LandmarkTemplate:
    """Keep a list under a name and return it; the same list again makes no new version.

    Raises
    ------
    UserError
        If the name cannot be that of a file, the list is empty, or the disk refuses.
    """
    name = clean_name(name)
    if not name or name.startswith(".") or re.search(r'[\\/:*?"<>|]', name):
        raise UserError(f"{name!r} cannot name a template: due are letters, digits and spaces.")
    listed = tuple(landmarks)
    if not listed:
        raise UserError("The list has no landmarks yet. Add some, then keep it as a template.")
    place = make_folder(folder or templates_folder())
    versions = [version for known, version in list_templates(place) if known == name]
    if versions:
        newest = load_template(name, versions[0], place)
        if (newest.landmarks, newest.measurements) == (_numbered(listed), tuple(measurements)):
            return newest
    version = max(versions, default=0) + 1
    made = LandmarkTemplate(name, version, _numbered(listed), tuple(measurements))
    write_whole(place / f"{name}.{version}.json", _to_text(made))
    return made


def load_template(
    name: str, version: int | None = None, folder: Path | None = None
) -> LandmarkTemplate:
    """Return a template, by default its newest version; UserError if there is none."""
    place = folder or templates_folder()
    known = [each for each in list_templates(place) if each[0] == name]
    if version is None and known:
        version = known[0][1]
    path = place / f"{name}.{version}.json"
    if version is None or not path.is_file():
        titles = ", ".join(f"{n} {v}" for n, v in list_templates(place)) or "none yet"
        raise UserError(
            f"There is no template {name!r}{f' {version}' if version else ''}. "
            f"Choose one of those there: {titles}."
        )
    return read_template(path)


def read_template(path: Path) -> LandmarkTemplate:
    """Return the template in a file, which others may have sent; UserError if it is none."""
    content = parse_json(read_text(path), path)
    try:
        if content["format"] != _FORMAT:
            raise ValueError(f"format is {content['format']!r}")
        listed = tuple(
            _named(row["name"], row["color"], row.get("description", ""), order)
            for order, row in enumerate(content["landmarks"])
        )
        if len({item.name for item in listed}) != len(listed):
            raise ValueError("a name comes twice")
        lines = tuple(str(line) for line in content.get("measurements", ()))
        return LandmarkTemplate(str(content["name"]), int(content["version"]), listed, lines)
    except BAD_FILE as error:
        raise UserError(
            f"Cannot read {path.name!r}: it is no template of landmarks ({error}). "
            "Give one that was saved here."
        ) from error


def apply_template(store: LandmarkStore, template: LandmarkTemplate) -> int:
    """Add the landmarks of a template that the list lacks, and put the list in its order.

    What is there already stays, points too; landmarks that the template does not know come last.
    One entry of the history. Returns how many were added.
    """
    with store.edit(f"use template {template.title}"):
        wanted = []
        added = 0
        for item in template.landmarks:
            key = store.find_name(item.name)
            if key is None:
                key = store.add_name(item.name, item.color, item.description)
                added += 1
            wanted.append(key)
        rest = [key for key in store.names() if key not in wanted]
        orders = {key: order for order, key in enumerate([*wanted, *rest])}
        store.update({key: _ordered(store.name(key), order) for key, order in orders.items()})
    return added


def _numbered(landmarks: Iterable[LandmarkName]) -> tuple[LandmarkName, ...]:
    return tuple(_ordered(item, order) for order, item in enumerate(landmarks))


def _ordered(item: LandmarkName, order: int) -> LandmarkName:
    return LandmarkName(item.name, item.color, item.description, order)


def _named(name: object, color: Any, description: object, order: int) -> LandmarkName:
    red, green, blue = color
    item = LandmarkName(str(name), (int(red), int(green), int(blue)), str(description), order)
    fit_item(item)
    return item


def _to_text(template: LandmarkTemplate) -> str:
    rows = [
        {"name": item.name, "color": list(item.color), "description": item.description}
        for item in template.landmarks
    ]
    content = {
        "format": _FORMAT,
        "name": template.name,
        "version": template.version,
        "landmarks": rows,
        "measurements": list(template.measurements),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
