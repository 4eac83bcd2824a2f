"""Tell the format of an annotation file or folder by its content, and read it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.coco import looks_like_coco, read_coco
from napari_medssl.io.annotations.documents import parse_json, parse_yaml, read_text, show
from napari_medssl.io.annotations.labelme import looks_like_labelme, read_labelme
from napari_medssl.io.annotations.report import BoxFile
from napari_medssl.io.annotations.voc import read_voc
from napari_medssl.io.annotations.yolo import CLASS_FILES, YAML_FILES, is_label_file, read_yolo
from napari_medssl.io.images import natural_key

_MAX_FILES = 200_000
_TEXT_SUFFIXES = frozenset((".json", ".xml", ".txt", ".yaml", ".yml", ".names"))


def read_file(path: Path, images: Path | None) -> BoxFile:
    """Return the boxes of one file."""
    text = read_text(path)
    start = text.lstrip()[:1]
    if start == "<":
        return read_voc(path, images=images)
    if start in ("{", "[") or path.suffix.lower() == ".json":
        return _read_json(parse_json(text, path), path, images)
    if path.suffix.lower() in (".yaml", ".yml"):
        parse_yaml(path)  # a broken one is told as that, not as a lack of label files
        return _read_set(path.parent, images, path)
    if path.name in CLASS_FILES:
        return _read_set(path.parent, images)
    if is_label_file(path):
        root = path.parent.parent if path.parent.name == "labels" else path.parent
        return read_yolo([path], root, images, above=2)
    raise UserError(
        f"Cannot read {str(path)!r}: neither COCO, YOLO, Pascal VOC nor labelme "
        f"(it begins with {show(text[:40])})."
    )


def read_folder(folder: Path, images: Path | None) -> BoxFile:
    """Return the boxes of all annotation files in `folder` and below; all must be of one format."""
    found, failures = _sort_files(folder)
    if not found:
        raise UserError(
            f"No annotation files in {str(folder)!r}: COCO, YOLO, Pascal VOC or labelme was due."
            + (f" {failures[0]}" if failures else "")
        )
    if len(found) > 1:
        raise UserError(
            f"The folder {str(folder)!r} holds annotations of several formats "
            f"({', '.join(sorted(found))}). Name one file, or the folder of one format."
        )
    ((format_name, files),) = found.items()
    if format_name == "yolo":
        return _join([read_yolo(files, folder, images)], failures, folder)
    parts = []
    for path in files:
        try:
            parts.append(_read_one(format_name, path, folder, images))
        except UserError as error:
            failures.append(str(error))
    if not parts:
        raise UserError(failures[0])
    return _join(parts, failures, folder)


def _read_set(folder: Path, images: Path | None, settings: Path | None = None) -> BoxFile:
    """Return the boxes of the YOLO set in `folder`, whatever else lies there."""
    files = _sort_files(folder)[0].get("yolo")
    if not files:
        raise UserError(f"No YOLO label files in {str(folder)!r} or below it.")
    return read_yolo(files, folder, images, settings=settings)


def _read_one(format_name: str, path: Path, root: Path, images: Path | None) -> BoxFile:
    if format_name == "voc":
        return read_voc(path, root, images)
    content = parse_json(read_text(path), path)
    if format_name == "coco":
        return read_coco(content, path, root, images)
    return read_labelme(content, path, root, images)


def _read_json(content: Any, path: Path, images: Path | None) -> BoxFile:
    if looks_like_labelme(content):
        return read_labelme(content, path, images=images)
    if looks_like_coco(content):
        return read_coco(content, path, images=images)
    kind = content.get("type") if isinstance(content, dict) else None
    what = f"its 'type' is {show(kind)}" if kind else f"it holds {show(content)}"
    raise UserError(
        f"Cannot read {str(path)!r}: JSON, but neither COCO (a list of 'images') nor labelme "
        f"(a list of 'shapes'): {what}."
    )


def _sort_files(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the annotation files below `folder` by format, in natural order, and broken ones."""
    found: dict[str, list[Path]] = defaultdict(list)
    failures: list[str] = []
    for count, path in enumerate(_files_below(folder)):
        if count >= _MAX_FILES:
            raise UserError(f"The folder {str(folder)!r} holds more than {_MAX_FILES} files.")
        try:
            found[_format_of(path)].append(path)
        except UserError as error:
            failures.append(str(error))
    found.pop("", None)
    for files in found.values():
        files.sort(key=lambda path: natural_key(path.relative_to(folder).as_posix()))
    return dict(found), failures


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or (path.is_symlink() and path.is_dir()):
            continue
        if path.is_dir():
            yield from _files_below(path)
        elif path.suffix.lower() in _TEXT_SUFFIXES and path.is_file():
            yield path


def _format_of(path: Path) -> str:
    """Return the format of a file in a folder, "" for files that merely lie there."""
    suffix = path.suffix.lower()
    if path.name in CLASS_FILES or path.name in YAML_FILES:
        return ""
    if suffix == ".xml":
        return "voc" if _mentions(path, b"<annotation") else ""
    if suffix == ".txt":
        # An empty file in `labels` is a picture without boxes.
        empty = path.stat().st_size == 0 and path.parent.name == "labels"
        return "yolo" if empty or is_label_file(path) else ""
    if suffix != ".json":
        return ""
    content = parse_json(read_text(path), path)
    if looks_like_labelme(content):
        return "labelme"
    return "coco" if looks_like_coco(content) else ""


def _mentions(path: Path, word: bytes) -> bool:
    with path.open("rb") as stream:
        return word in stream.read(4096)


def _join(parts: list[BoxFile], failures: list[str], folder: Path) -> BoxFile:
    """Return several files as one; only equal headers survive, as ids mean something within one."""
    headers = {json.dumps(part.header, sort_keys=True, default=str) for part in parts}
    return BoxFile(
        images=tuple(image for part in parts for image in part.images),
        skipped=(*failures, *(line for part in parts for line in part.skipped)),
        notes=tuple(line for part in parts for line in part.notes),
        failures=(*failures, *(line for part in parts for line in part.failures)),
        folder=folder,
        header=parts[0].header if len(headers) == 1 else {},
    )
