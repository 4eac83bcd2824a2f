"""Landmarks of a set to and from the files of other tools, see `io.landmarks`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_medssl._errors import UserError
from napari_medssl.io.landmarks import (
    NO_NAME,
    ImageLandmarks,
    Landmark,
    LandmarkFile,
    State,
    slicer_file_names,
    write_landmarks,
)
from napari_medssl.state.landmark_items import Point
from napari_medssl.state.landmarks import LandmarkStore, PointId


def image_landmarks(
    store: LandmarkStore, images: Iterable[int] | None = None
) -> list[ImageLandmarks]:
    """Return the landmarks of images, by default of all, as values of `io.landmarks`.

    Undefined points are left out; so are images without any other.
    """
    found = []
    for key in store.images() if images is None else images:
        image = store.image(key)
        landmarks = tuple(
            Landmark(store.name(p.name).name, p.x, p.y, p.state, p.score, p.is_visible)
            for p in store.points_of(key)
            if p.state != "undefined"
        )
        if landmarks:
            size = image.width, image.height
            found.append(ImageLandmarks(image.name, landmarks, *size, image.spacing_mm))
    return found


def export_landmarks(
    store: LandmarkStore,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 (the word that people use)
    *,
    images: Iterable[int] | None = None,
    states: Sequence[State] = ("found", "confirmed", "absent", "locked"),
) -> tuple[str, ...]:
    """Write landmarks in one of the formats of `io.landmarks`, in mm too where that is known.

    Returns
    -------
    tuple of str
        What the format cannot hold.

    Raises
    ------
    UserError
        If there is nothing to write or the place cannot be written to.
    """
    listed = []
    for image in image_landmarks(store, images):
        kept = tuple(landmark for landmark in image.landmarks if landmark.state in states)
        size = image.width, image.height
        listed += [ImageLandmarks(image.image, kept, *size, image.spacing_mm)] * bool(kept)
    has_mm = any(image.spacing_mm is not None for image in listed)
    return write_landmarks(listed, path, format, with_mm=has_mm)


def slicer_files_there(store: LandmarkStore, folder: Path) -> tuple[Path, ...]:
    """Return which files `export_landmarks` to a folder for 3D Slicer would overwrite."""
    names = slicer_file_names([image.image for image in image_landmarks(store)])
    return tuple(path for name in names if (path := folder / name).exists())


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What a file would bring into a set, not done yet.

    Attributes
    ----------
    points
        Id of the image, name of the landmark, and what the file says of it.
    spacings
        Distance of pixels in mm by id of the image, where only the file knows it.
    strangers
        Names of images in the file that the set does not have.
    notes
        What the reader could not keep.
    """

    points: tuple[tuple[int, Landmark], ...]
    spacings: tuple[tuple[int, tuple[float, float]], ...]
    strangers: tuple[str, ...]
    notes: tuple[str, ...]
    path: Path

    def conflicts(self, store: LandmarkStore) -> tuple[PointId, ...]:
        """Return which points of a person would be overwritten."""
        known = []
        for image, landmark in self.points:
            name = store.find_name(landmark.label)
            if name is not None:
                known.append(_point(image, name, landmark))
        return store.conflicts(known)

    def apply(self, store: LandmarkStore, *, overwrite: bool = False) -> int:
        """Take the points in, new landmarks at the end of the list: one entry of the history.

        Returns how many points were taken in.
        """
        title = f"import {self.path.name}"
        with store.edit(title):
            for key, spacing in self.spacings:
                store.set_spacing([key], spacing)
            points = []
            for image, landmark in self.points:
                name = store.find_name(landmark.label)
                if name is None:
                    name = store.add_name(landmark.label)
                points.append(_point(image, name, landmark))
            return store.put(points, title, overwrite=overwrite)


def plan_import(store: LandmarkStore, file: LandmarkFile, front: int | None = None) -> ImportPlan:
    """Find the images that a file means: by name, then by file name, then without the suffix.

    Parameters
    ----------
    store
        The set.
    file
        What was read.
    front
        Image that a file means which names none, such as those of 3D Slicer; if it names one that
        is not in the set, and no other, that too.

    Raises
    ------
    UserError
        If no image of the file is in the set.
    """
    points: list[tuple[int, Landmark]] = []
    spacings: list[tuple[int, tuple[float, float]]] = []
    strangers: list[str] = []
    for image in file.images:
        key = front if image.image == NO_NAME else _find(store, image.image)
        if key is None:
            strangers.append(image.image or "the image it belongs to")
            continue
        if image.spacing_mm is not None and store.image(key).spacing_mm is None:
            spacings.append((key, image.spacing_mm))
        points += [(key, mark) for mark in image.landmarks if mark.state != "undefined"]
    if not points:
        there = f"it is about {strangers[0]!r}" if strangers else "it holds no placed landmark"
        raise UserError(
            f"Nothing in {file.path.name!r} is about the images that are open: {there}. Open its "
            "images first, or put the one that it belongs to in front."
        )
    return ImportPlan(tuple(points), tuple(spacings), tuple(strangers), file.notes, file.path)


def _point(image: int, name: int, landmark: Landmark) -> Point:
    score = landmark.score if landmark.state in ("found", "absent") else None
    return Point(
        image,
        name,
        landmark.state,
        landmark.x,
        landmark.y,
        score,
        is_visible=landmark.is_visible,
    )


def _find(store: LandmarkStore, name: str) -> int | None:
    """Return the image that a file calls so, None if there is none or several could be meant."""
    exact = store.find_image(name)
    if exact is not None:
        return exact
    told = PurePosixPath(name.replace("\\", "/"))
    paths = {key: store.image(key).ref.path for key in store.images()}
    by_file = [key for key, path in paths.items() if path.name == told.name]
    by_stem = [key for key, path in paths.items() if path.stem in (told.stem, told.name)]
    return next((meant[0] for meant in (by_file, by_stem) if len(meant) == 1), None)
