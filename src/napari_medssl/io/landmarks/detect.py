"""Tell the format of a file of landmarks by its content, and read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.documents import decode_text, parse_json, read_bytes, show
from napari_medssl.io.images import natural_key
from napari_medssl.io.landmarks.coco import looks_like_coco, read_coco
from napari_medssl.io.landmarks.collector import MAX_BYTES, Collector, refusal
from napari_medssl.io.landmarks.cvat import read_cvat
from napari_medssl.io.landmarks.deeplabcut import (
    HDF5_START,
    looks_like_deeplabcut,
    read_deeplabcut,
    refuse_h5,
)
from napari_medssl.io.landmarks.fcsv import looks_like_fcsv, read_fcsv
from napari_medssl.io.landmarks.grid import SliceGrid
from napari_medssl.io.landmarks.landmark import NO_NAME, LandmarkFile
from napari_medssl.io.landmarks.slicer import looks_like_slicer, read_slicer
from napari_medssl.io.landmarks.slicer_table import looks_like_slicer_table, read_slicer_table
from napari_medssl.io.landmarks.table import read_table

SLICER_SUFFIXES = (".mrk.json", ".fcsv")
"""Ends of the names of files of 3D Slicer, which are of one image each."""

_MOST_FILES = 100_000


def read_file(path: Path, grid: SliceGrid | None, image: str = NO_NAME) -> LandmarkFile:
    """Return the landmarks of one file; `image` names it where the format does not."""
    data = read_bytes(path, MAX_BYTES)
    if data.startswith(HDF5_START):
        raise refuse_h5(path)
    if data.startswith(b"PK\x03\x04"):
        raise refusal(path, "a zip archive", "Unpack it and give the file of annotations in it.")
    text = decode_text(data, path)
    start = text.lstrip()[:1]
    if start == "<":
        return read_cvat(path)
    if start in ("{", "[") or path.suffix.lower() == ".json":
        return _read_json(parse_json(text, path), path, grid, image)
    if looks_like_fcsv(text, path):
        return read_fcsv(text, path, grid, image)
    if looks_like_deeplabcut(text):
        return read_deeplabcut(text, path)
    if looks_like_slicer_table(text):
        return read_slicer_table(text, path, grid, image)
    return read_table(text, path)


def read_folder(folder: Path, grid: SliceGrid | None) -> LandmarkFile:
    """Return the landmarks of all files of 3D Slicer in `folder`, an image in each.

    The images are named as the files are, without suffix.
    """
    try:
        found = [path for path in folder.iterdir() if _slicer_stem(path) and path.is_file()]
    except OSError as error:
        raise UserError(f"Cannot read {str(folder)!r}: {error.strerror or error}.") from error
    found.sort(key=lambda path: natural_key(path.name))
    if not found or len(found) > _MOST_FILES:
        raise refusal(
            folder,
            f"a folder with {len(found)} point lists of 3D Slicer (.mrk.json, .fcsv)",
            f"Due are 1 to {_MOST_FILES}. Give such a folder, or one file of another format.",
        )
    gathered = Collector(folder, "slicer")
    for path in found:
        part = read_file(path, grid, _slicer_stem(path))
        for image in part.images:
            name = gathered.add_image(image.image)
            for landmark in image.landmarks:
                gathered.add(name, landmark)
        for note in part.notes:
            gathered.note(note)
    return replace(gathered.file(), path=folder)


def _slicer_stem(path: Path) -> str:
    """Return the name of a file of 3D Slicer without its suffix, "" for other files."""
    if path.name.startswith("."):
        return ""
    name = path.name.lower()
    end = next((end for end in SLICER_SUFFIXES if name.endswith(end)), "")
    return path.name[: -len(end)] if end else ""


def _read_json(content: Any, path: Path, grid: SliceGrid | None, image: str) -> LandmarkFile:
    if looks_like_slicer(content):
        return read_slicer(content, path, grid, image)
    if looks_like_coco(content):
        return read_coco(content, path)
    kind = content.get("type") if isinstance(content, dict) else None
    what = f"whose 'type' is {show(kind)}" if kind else f"that holds {show(content)}"
    raise refusal(
        path,
        f"JSON {what}",
        "Due are 'markups' (3D Slicer) or 'images' with keypoints (COCO).",
    )
