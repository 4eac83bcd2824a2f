"""Folders of labelled tiles: which picture is of which set, class and slide.

`tiles.csv` in the folder says so, with the columns `image`, `class` and `slide_id`, and `set` if
there are several. Without it a subfolder is a class, and the slide is what stands before the last
underscore of the file's name: `tumour/slide7_12.png` is of slide7.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.images import ImageRef, scan_images
from napari_medssl.io.limits import one_line

TABLE = "tiles.csv"
_DUE = ("image", "class", "slide_id")


@dataclass(frozen=True, slots=True)
class LabelledTiles:
    """Tiles of one set.

    Attributes
    ----------
    name
        Of the set.
    refs
        The pictures, N of them.
    classes, slides
        Names, shape (N,) each.
    """

    name: str
    refs: tuple[ImageRef, ...]
    classes: tuple[str, ...]
    slides: tuple[str, ...]

    def class_numbers(self) -> NDArray[np.int64]:
        """Return the class of each tile as a number, shape (N,)."""
        return _numbers(self.classes)

    def slide_numbers(self) -> NDArray[np.int64]:
        """Return the slide of each tile as a number, shape (N,)."""
        return _numbers(self.slides)


def _numbers(names: tuple[str, ...]) -> NDArray[np.int64]:
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def read_labelled_tiles(folder: Path) -> tuple[LabelledTiles, ...]:
    """Return the sets of a folder, in the order in which they come.

    Raises
    ------
    UserError
        If there are no tiles, or the table is damaged or names a picture outside the folder.
    """
    if not folder.is_dir():
        raise UserError(f"{str(folder)!r} is not a folder. Give one with labelled tiles.")
    rows = _table_rows(folder) if (folder / TABLE).is_file() else _folder_rows(folder)
    if not rows:
        raise UserError(
            f"{str(folder)!r} holds no labelled tile. Put pictures into a folder for each class, "
            f"or add {TABLE} with the columns {', '.join(_DUE)}."
        )
    sets: dict[str, list[tuple[ImageRef, str, str]]] = {}
    for name, ref, label, slide in rows:
        sets.setdefault(name, []).append((ref, label, slide))
    return tuple(LabelledTiles(name, *zip(*found, strict=True)) for name, found in sets.items())


def _table_rows(folder: Path) -> list[tuple[str, ImageRef, str, str]]:
    try:
        with (folder / TABLE).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _DUE if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(
                    f"{TABLE!r} has no column {missing[0]!r}; due are {', '.join(_DUE)}."
                )
            return [_row(folder, line, row) for line, row in enumerate(reader, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{TABLE!r} cannot be read: {one_line(error)}.") from None


def _row(folder: Path, line: int, row: dict[str, str]) -> tuple[str, ImageRef, str, str]:
    image, label, slide = (row[name] or "" for name in _DUE)
    if not image or not label or not slide:
        raise UserError(f"Line {line} of {TABLE!r} lacks one of {', '.join(_DUE)}.")
    path = folder / image
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"Line {line} of {TABLE!r} names {image!r}, which is outside of its folder. "
            "Copy the picture into it."
        )
    return row.get("set") or folder.name, ImageRef.parse(path), label, slide


def _folder_rows(folder: Path) -> list[tuple[str, ImageRef, str, str]]:
    rows = []
    for ref in scan_images([folder], recursive=True).refs:
        below = ref.path.relative_to(folder)
        if len(below.parts) > 1:
            rows.append((folder.resolve().name, ref, below.parts[0], slide_of(ref.path)))
    return rows


def slide_of(path: Path) -> str:
    """Return the slide that a file name tells: what stands before its last underscore."""
    slide, _, last = path.stem.rpartition("_")
    return slide if slide and last else path.stem
