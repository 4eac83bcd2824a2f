"""Boxes of a project to and from the files of other tools: COCO, YOLO, Pascal VOC, crops."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import BoxFile, write_boxes
from napari_medssl.io.annotations.names import unique_stems
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.io.crops import save_crops
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewState


@dataclass(frozen=True)
class Exported:
    """A figure as it leaves the project: where its image is, its size and its boxes."""

    path: Path
    page: int | None
    width: int
    height: int
    boxes: tuple[Box, ...]
    state: ReviewState


def to_export(
    project: Project, states: Iterable[ReviewState], threshold: float = 0.0
) -> list[Exported]:
    """Return the figures in one of the states whose images were read.

    Parameters
    ----------
    project
        Project to take them from.
    states
        States wanted.
    threshold
        Boxes with a lower score are left out of figures that nobody has accepted; who accepts a
        figure accepts each box that is left in it.
    """
    wanted, found = set(states), []
    for key in project:
        info = project.info(key)
        if project.state(key) not in wanted or not info.width:
            continue
        least = 0.0 if project.state(key) == ReviewState.DONE else threshold
        boxes = tuple(b for b in project.boxes(key) if b.score is None or b.score >= least)
        found.append(
            Exported(
                project.stored_path(key),
                info.page,
                info.width,
                info.height,
                boxes,
                project.state(key),
            )
        )
    return found


def export_boxes(
    figures: Sequence[Exported],
    path: Path,
    format: str,  # noqa: A002 (the word people use)
) -> tuple[str, ...]:
    """Write the boxes as "coco", "yolo" or "voc"; return what the format cannot hold.

    Names of images are relative to the folder written to where the image lies below it, else the
    bare file name.

    Raises
    ------
    UserError
        If there is nothing to write or the place cannot be written to.
    """
    if not figures:
        raise UserError("No figure fits what is to be exported. Accept some figures first.")
    folder = path.parent if format == "coco" else path
    images = [
        ImageBoxes(
            _name(figure, folder),
            figure.width,
            figure.height,
            figure.boxes,
            {"state": figure.state.value},
        )
        for figure in figures
    ]
    return write_boxes(images, path, format)


def export_crops(
    figures: Sequence[Exported], folder: Path, *, on_figure: Callable[[int], None] = lambda _: None
) -> tuple[int, list[str]]:
    """Write every box as a PNG file; return how many and a line per image that is gone."""
    if not figures:
        raise UserError("No figure fits what is to be exported. Accept some figures first.")
    count, failures = 0, []
    # Figures of one name in several folders must not write over each other.
    stems = unique_stems([_stem(figure) + ".png" for figure in figures])
    for number, figure in enumerate(figures):
        try:
            image = read_image(ImageRef(figure.path, figure.page))
        except UserError as error:
            failures.append(str(error))
            continue
        count += len(save_crops(image, figure.boxes, folder, stems[number]))
        on_figure(number + 1)
    return count, failures


def _stem(figure: Exported) -> str:
    return figure.path.stem if figure.page is None else f"{figure.path.stem}_p{figure.page}"


def _name(figure: Exported, folder: Path) -> str:
    folder = Path(os.path.abspath(folder))
    is_below = figure.path.is_relative_to(folder)
    name = figure.path.relative_to(folder).as_posix() if is_below else figure.path.name
    return name if figure.page is None else f"{name}#page={figure.page}"


def import_boxes(project: Project, found: BoxFile) -> tuple[int, list[str]]:
    """Put the boxes of an annotation file into a project, one edit per figure.

    Images are known by their place, else by a name that only one figure has; new ones whose file
    exists are added.

    Returns
    -------
    count, lines
        How many figures got boxes, and a line for each image that was not found.
    """
    by_name: dict[str, list[str]] = {}
    for key in project:
        by_name.setdefault(project.info(key).name, []).append(key)
    count, lines = 0, []
    for image in found.images:
        match = _find(project, found.folder, image, by_name)
        if match is None:
            lines.append(f"No image {image.file_name!r} in the project or beside the file.")
            continue
        try:
            project.store(match, (image.width, image.height)).replace_all(image.boxes, "import")
        except UserError as error:
            lines.append(str(error))
        else:
            count += 1
    return count, [*found.failures, *found.skipped, *lines]


def _find(
    project: Project, folder: Path, image: ImageBoxes, by_name: dict[str, list[str]]
) -> str | None:
    ref = ImageRef.parse(folder / image.file_name)
    key = project.find(ref.path, ref.page)
    if key is not None:
        return key
    same_name = by_name.get(ref.name, [])
    if len(same_name) == 1:
        return same_name[0]
    if ref.path.is_file() and image.width and image.height:
        return project.add_images([(ref.path, ref.page)])[0]
    return None
