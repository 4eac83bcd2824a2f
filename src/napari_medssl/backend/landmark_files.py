"""Read what a search for landmarks starts from: templates, their points, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.landmark_values import Place
from napari_medssl.io.image_names import full_name
from napari_medssl.io.images import ImageListing, ImageRef, read_image, scan_images
from napari_medssl.io.landmarks import NO_NAME, ImageLandmarks, read_landmarks
from napari_medssl.io.sniff import picture_kind


def scan_pictures(
    inputs: Sequence[str | Path], *, recursive: bool = False
) -> tuple[list[ImageRef], list[tuple[str, str]]]:
    """Return the pictures in files and folders, and `(name, reason)` of what is none.

    A TIFF file of several pages is a volume: it is refused, unless one page is named
    ("scan.tif#page=3"); the pages of a PDF file are pictures of their own.
    """
    listing: ImageListing = scan_images(inputs, recursive=recursive)
    named = {ImageRef.parse(given) for given in inputs}
    pages: dict[Path, int] = {}
    for ref in listing.refs:
        pages[ref.path] = pages.get(ref.path, 0) + 1
    failures = list(listing.failures)
    volumes = {
        path
        for path, count in pages.items()
        if count > 1
        and picture_kind(path) == "tiff"
        and any(ref not in named for ref in listing.refs if ref.path == path)
    }
    failures += [(str(path), _volume(path, pages[path])) for path in sorted(volumes)]
    return [ref for ref in listing.refs if ref.path not in volumes or ref in named], failures


def _volume(path: Path, pages: int) -> str:
    return (
        f"{path.name!r} has {pages} pages, a volume or a stack; due is one picture. Name a page, "
        f"{path.name}#page=1, or save its slices as files."
    )


def read_picture(ref: ImageRef) -> NDArray[np.uint8]:
    """Return a picture as uint8 RGB, (Y, X, 3); values of more than 8 bits go by percentiles.

    Raises
    ------
    UserError
        If it cannot be read, or has pixels that are no numbers.
    """
    if picture_kind(ref.path) == "tiff":
        from napari_medssl.io.tiff_pages import holds_no_numbers

        if holds_no_numbers(ref.path, ref.page or 1):
            raise UserError(
                f"{ref.name!r} has pixels that are not a number (NaN) or infinite. Replace them by "
                "the value of the background."
            )
    return read_image(ref, robust=True)


def read_template(image: str | Path, landmarks: Path) -> tuple[ImageRef, dict[str, Place]]:
    """Return the picture of a template, and the places of its landmarks in pixels by label.

    Parameters
    ----------
    image
        One picture.
    landmarks
        Any file of `io.landmarks`: of this image alone, or of several among which it is named.

    Raises
    ------
    UserError
        If either cannot be read, the picture is a volume, or it has no landmark in the file.
    """
    refs, failures = scan_pictures([image])
    if failures:
        raise UserError(f"The template cannot be used: {failures[0][1]}")
    if len(refs) != 1:
        raise UserError(
            f"--template {str(image)!r} holds {len(refs)} pictures; due is one. Name one file, or "
            "one page as FILE#page=1."
        )
    file = read_landmarks(landmarks)
    own = _of_template(file.images, refs[0], landmarks)
    points = {m.label: m.place for m in own.landmarks if m.place is not None}
    if not points:
        raise UserError(
            f"The template {refs[0].name!r} has no landmarks in {str(landmarks)!r}: none has a "
            "place. Give at least one row label,x,y."
        )
    return refs[0], points


def _of_template(
    images: Sequence[ImageLandmarks], ref: ImageRef, landmarks: Path
) -> ImageLandmarks:
    """Return the landmarks that are about the template."""
    by_name = {image.image: image for image in images}
    for name in (full_name(ref), ref.name, ref.path.stem, NO_NAME):
        if name in by_name:
            return by_name[name]
    # Whoever labelled may have had the image in another folder.
    same = [image for image in images if Path(image.image).name == ref.name]
    if len(same) == 1:
        return same[0]
    if not images:
        raise UserError(f"{str(landmarks)!r} has no landmarks. Give at least one row label,x,y.")
    names = [repr(image.image) for image in images]
    told = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise UserError(
        f"{str(landmarks)!r} has no landmarks of the template {ref.name!r}: its images are {told}. "
        "Give the file of this template."
    )
