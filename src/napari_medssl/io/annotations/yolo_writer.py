"""Write YOLO sets: labels/NAME.txt, classes.txt, data.yaml and images.csv.

A line is `class x y width height`, in fractions of the picture with all their digits, and the
score where there is one. `images.csv` is ours: it holds the file names and sizes that the format
has no place for, so that a set can be read back without its pictures. Panel letters are lost.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import yaml

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.names import unique_stems
from napari_medssl.io.annotations.yolo import INDEX, class_numbers
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.io.files import make_folder, write_all_whole


def write_yolo(images: Sequence[ImageBoxes], path: Path) -> tuple[str, ...]:
    """Write the set into the folder `path`, each file whole or not at all.

    Returns lines about what the format cannot hold. Raises `UserError` for an image of unknown
    size, whose boxes cannot be made fractions.
    """
    listed = list(images)
    unknown = [image.file_name for image in listed if image.width < 1 or image.height < 1]
    if unknown:
        raise UserError(
            f"Cannot write YOLO: the size of {unknown[0]!r} is unknown"
            + (f", and of {len(unknown) - 1} more" if len(unknown) > 1 else "")
            + ". Put the pictures beside the annotations, or name their folder."
        )
    make_folder(path / "labels")
    numbers = class_numbers(listed)
    stems = unique_stems([image.file_name for image in listed])
    files: dict[Path, bytes] = {}
    for stem, image in zip(stems, listed, strict=True):
        rows = [_line(numbers[box.category], box, image) for box in image.boxes]
        files[path / "labels" / f"{stem}.txt"] = "".join(rows).encode()
    flat = [" ".join(_encodable(name).split()) or "panel" for name in numbers]
    files[path / "classes.txt"] = "".join(f"{name}\n" for name in flat).encode()
    files[path / "data.yaml"] = _yaml([_encodable(name) for name in numbers]).encode()
    files[path / INDEX] = _index(stems, listed).encode()
    write_all_whole(files)
    labels = sum(bool(box.label) for image in listed for box in image.boxes)
    return (f"YOLO has no place for panel letters: {labels} left out",) if labels else ()


def _line(number: int, box: Box, image: ImageBoxes) -> str:
    values = [
        (box.x0 + box.x1) / 2 / image.width,
        (box.y0 + box.y1) / 2 / image.height,
        box.width / image.width,
        box.height / image.height,
    ]
    values += [] if box.score is None else [float(box.score)]
    return " ".join([str(number), *(repr(float(value)) for value in values)]) + "\n"


def _yaml(classes: list[str]) -> str:
    content = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(classes))}
    # Line ends of other alphabets would be folded into spaces if they were written as they are.
    readable = all(name.isprintable() for name in classes)
    return str(yaml.safe_dump(content, allow_unicode=readable, sort_keys=False))


def _encodable(text: str) -> str:
    """Return `text` without the halves of characters that odd file names hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _index(stems: list[str], images: list[ImageBoxes]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["labels", "file_name", "width", "height"])
    for stem, image in zip(stems, images, strict=True):
        writer.writerow(
            [f"labels/{stem}.txt", _encodable(image.file_name), image.width, image.height]
        )
    return out.getvalue()
