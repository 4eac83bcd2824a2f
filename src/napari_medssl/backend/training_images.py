"""The unlabelled images that a network is trained on, in memory at the size of training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.histogram import even_out
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.sizing import resize_short_side, to_channels
from napari_medssl.io.images import ImageListing, read_image, scan_images

_LOOKED_AT = 8  # images that tell whether a folder is grey


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """Images to train on, and what could not be read.

    Attributes
    ----------
    pixels
        Each uint8, shape (C, H, W), all with one C; the shorter side is that of training.
    failures
        (name, reason) of the files that are left out.
    """

    pixels: tuple[NDArray[np.uint8], ...]
    failures: tuple[tuple[str, str], ...]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.pixels[0].shape[0])


def find_images(folder: Path, option: str = "--data") -> ImageListing:
    """Return the pictures in a folder and its subfolders.

    Raises
    ------
    UserError
        If it is no folder or holds no picture; `option` names it.
    """
    if not folder.is_dir():
        raise UserError(f"{option} {str(folder)!r} is not a folder. Give one with images.")
    listing = scan_images([folder], recursive=True)
    if not listing.refs:
        bad = f"; {len(listing.failures)} cannot be read" if listing.failures else ""
        raise UserError(f"{option} {str(folder)!r} holds no readable image{bad}. Put images in it.")
    return listing


def load_training_images(
    folder: Path,
    size: int,
    *,
    color: str = "auto",
    equalise: bool = False,
    robust: bool = True,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TrainingImages:
    """Return the images below `folder`, scaled so that their shorter side has `size` pixels.

    Parameters
    ----------
    color
        "grey", "rgb", or "auto": grey if the first images are.
    equalise
        Whether to even out the histogram of each.
    robust
        As in `read_image`: whether all values of more than 8 bits go by the percentiles.

    Raises
    ------
    UserError
        If there is no readable image, or but one: a step looks at two.
    Cancelled
        If `should_stop` said so.
    """
    listing = find_images(folder)
    failures = list(listing.failures)
    images: list[NDArray[np.uint8]] = []
    channels = {"grey": 1, "rgb": 3}.get(color, 0)
    for number, ref in enumerate(listing.refs):
        if should_stop():
            raise Cancelled("Stopped while reading the images; there is no checkpoint yet.")
        on_progress(Progress(number, len(listing.refs), "reading images"))
        try:
            pixels = resize_short_side(read_image(ref, robust=robust), size)
        except UserError as error:
            failures.append((ref.name, str(error)))
            continue  # one damaged image does not spoil a folder of thousands
        images.append(to_channels(pixels, channels) if channels else pixels)
        if not channels and len(images) == _LOOKED_AT:
            images, channels = _settle(images)
    if not channels and images:
        images, channels = _settle(images)
    if len(images) < 2:
        raise UserError(
            f"Folder {str(folder)!r} has {len(images)} readable of {len(listing.refs)} images; "
            "due are at least 2. Put more images of the modality in it."
        )
    # Copies: what Pillow gives is read-only, which torch does not take.
    even = even_out if equalise else np.asarray
    planes = (np.array(np.moveaxis(even(image), 2, 0), order="C") for image in images)
    return TrainingImages(tuple(planes), tuple(failures))


def _settle(images: list[NDArray[np.uint8]]) -> tuple[list[NDArray[np.uint8]], int]:
    """Return RGB images as what they are together, grey or RGB, and the number of channels."""
    is_grey = all((image == image[..., :1]).all() for image in images)
    channels = 1 if is_grey else 3
    return [to_channels(image, channels) for image in images], channels
