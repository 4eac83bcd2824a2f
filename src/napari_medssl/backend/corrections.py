"""The figures whose boxes a person has checked: accepted ones of a project, or a COCO folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import read_boxes
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.state.figure import Figure
from napari_medssl.state.project_files import Loaded, load_project
from napari_medssl.state.queue import ReviewState

_NO_BOX = "accepted without a box"


@dataclass(frozen=True)
class CorrectedFigure:
    """A figure with the boxes that a person left in it, shape (N, 4), `x0, y0, x1, y1`.

    `size` is width and height of the image when the boxes were made, zeros if not known.
    `has_letters` tells that panel letters may be visible: such a figure is not to be mirrored.
    """

    ref: ImageRef
    boxes: np.ndarray
    size: tuple[int, int] = (0, 0)
    has_letters: bool = False


@dataclass(frozen=True)
class Corrections:
    """What a project or folder offers to learn from.

    `skipped` holds `(name, reason)` of accepted figures that cannot be used; `model` is the one
    that the project uses, "" if it names none.
    """

    figures: tuple[CorrectedFigure, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    model: str = ""

    def fingerprint(self) -> str:
        """Return a text that changes with the figures and their boxes."""
        digest = hashlib.sha256()
        for figure in self.figures:
            digest.update(figure.ref.name.encode())
            digest.update(np.ascontiguousarray(figure.boxes, np.float64).tobytes())
        return digest.hexdigest()[:16]


def read_corrections(source: Path) -> Corrections:
    """Return the accepted figures of a project, or all of a folder with `annotations.json`.

    A project may be open elsewhere: it is only read.

    Raises
    ------
    UserError
        If it is neither, or is damaged.
    """
    source = source.expanduser().absolute()
    if (source / "project.json").is_file():
        return _of_project(source)
    if (source / "annotations.json").is_file():
        return _of_folder(source)
    what = "does not exist" if not source.exists() else "is neither"
    raise UserError(
        f"{str(source)!r} {what}: due is a project (NAME.medssl), or a folder with images/ and "
        "annotations.json (COCO)."
    )


def _of_project(folder: Path) -> Corrections:
    loaded = _read_unlocked(folder)
    figures, skipped = [], []
    for figure in loaded.figures.values():
        if figure.state != ReviewState.DONE:
            continue
        path, boxes = _image_of(folder, figure), figure.boxes()
        if not boxes:
            skipped.append((figure.info.name, _NO_BOX))
        elif path is None:
            skipped.append((figure.info.name, "the image is gone"))
        else:
            size = (figure.info.width, figure.info.height)
            figures.append(_corrected(ImageRef(path, figure.info.page), boxes, size))
    return Corrections(tuple(figures), tuple(skipped), loaded.models[-1] if loaded.models else "")


def _read_unlocked(folder: Path) -> Loaded:
    """Read a project that may be saved by another process meanwhile."""
    header = folder / "project.json"
    for _ in range(5):
        before = header.read_bytes()
        loaded = load_project(folder)
        if header.read_bytes() == before and not loaded.damaged:
            return loaded
    names = ", ".join(sorted({path.name for path in loaded.damaged}))
    raise UserError(
        f"The project {str(folder)!r} cannot be read ({names or 'it is being written'}). "
        "Open it in the widget, which offers to repair it."
    )


def _image_of(folder: Path, figure: Figure) -> Path | None:
    stored = folder.parent / figure.info.path
    places = (stored, folder.parent / stored.name)
    return next((place for place in places if place.is_file()), None)


def _of_folder(folder: Path) -> Corrections:
    figures: list[CorrectedFigure] = []
    skipped: list[tuple[str, str]] = []
    for image in read_boxes(folder / "annotations.json").images:
        is_checked = image.extra.get("state", ReviewState.DONE) == ReviewState.DONE
        if not is_checked or not image.extra.get("annotated", True):
            continue
        ref = _place(folder, image)
        if not image.boxes:
            skipped.append((image.file_name, _NO_BOX))
        elif ref is None:
            skipped.append((image.file_name, "there is no such image in the folder"))
        else:
            is_lettered = image.extra.get("granularity") == "letter"
            size = (image.width, image.height)
            figures.append(_corrected(ref, image.boxes, size, is_lettered=is_lettered))
    return Corrections(tuple(figures), tuple(skipped))


def _place(folder: Path, image: ImageBoxes) -> ImageRef | None:
    """Return where the image is: never outside the folder."""
    for place in (folder / image.file_name, folder / "images" / image.file_name):
        ref = ImageRef.parse(place)
        if ref.path.is_file() and ref.path.resolve().is_relative_to(folder.resolve()):
            return ref
    return None


def _corrected(
    ref: ImageRef, boxes: Iterable[Box], size: tuple[int, int], *, is_lettered: bool = False
) -> CorrectedFigure:
    kept = tuple(boxes)
    corners = np.array([(b.x0, b.y0, b.x1, b.y1) for b in kept], np.float32).reshape(-1, 4)
    return CorrectedFigure(ref, corners, size, is_lettered or any(b.label for b in kept))


def read_corrected(figure: CorrectedFigure) -> np.ndarray:
    """Return the image of a figure; UserError if it is not what its boxes were made on."""
    image = read_image(figure.ref)
    size = (image.shape[1], image.shape[0])
    if figure.size not in ((0, 0), size):
        raise UserError(
            f"the image is {size[0]} x {size[1]} px now but was {figure.size[0]} x "
            f"{figure.size[1]} px when its boxes were made"
        )
    return image
