"""What a shape-guided training sees: flat images, their backgrounds, shapes and their scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.flat_pictures import REACH, FlatPicture, flat_picture
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.shape_pictures import read_shape
from napari_medssl.backend.training_images import find_images
from napari_medssl.io.images import read_image
from napari_medssl.io.shape_planes import branch_widths, dark_parts, shape_planes, without_parts

_FILLED = 1.5  # times the part that shapes cover is filled in backgrounds
_COMPARED = 90  # percentile of widths that images and shapes are compared by
_MOST_COMPARED = 16  # images, and shapes
_SPREAD = (0.5, 1.4)  # of scales around that


@dataclass(frozen=True, slots=True)
class ShapeData:
    """All of a training, in memory.

    Attributes
    ----------
    images
        uint8, shape (1, Y, X) each.
    backgrounds
        The same without what may be shapes; empty if none were asked for.
    shapes
        float16, shape (3, Y, X) each, see `shape_planes`.
    scales
        Least and largest number of pixels of an image to one of a shape.
    part
        How much of the shapes' pictures is shape.
    failures
        (name, reason) of the files that are left out.
    """

    images: tuple[NDArray[np.uint8], ...]
    backgrounds: tuple[NDArray[np.uint8], ...]
    shapes: tuple[NDArray[np.float16], ...]
    scales: tuple[float, float]
    part: float
    failures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ShapeDataConfig:
    """How data are read.

    Attributes
    ----------
    size, channel
        See `flat_picture`.
    is_dark
        Whether the shapes are darker than their surroundings in the images.
    least_width
        Branches of shapes that are narrower, in their own pixels, are left out.
    scale
        Pixels of an image to one of a shape; 0 to compare widths.
    with_backgrounds
        Whether shapes are to be drawn.
    seed
        Of what is filled in.
    """

    size: int
    channel: str
    is_dark: bool
    least_width: float
    scale: float
    with_backgrounds: bool
    seed: int


def load_shape_data(
    data: Path,
    shapes: Path,
    how: ShapeDataConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ShapeData:
    """Return images and shapes ready to train on.

    Raises
    ------
    UserError
        If there are fewer than two images or no shape.
    Cancelled
        If `should_stop` said so.
    """
    masks, failures = _read_shapes(shapes, how, on_progress, should_stop)
    part = float(np.mean([planes[0].mean(dtype=np.float64) for planes in masks]))
    rng = np.random.default_rng(how.seed)
    images, backgrounds, widths = [], [], []
    listing = find_images(data)
    failures += listing.failures
    for number, ref in enumerate(listing.refs):
        _tell(number, len(listing.refs), "reading images", on_progress, should_stop)
        try:
            flat = flat_picture(read_image(ref, robust=True), how.size, how.channel).cropped()
        except UserError as error:
            failures.append((ref.name, str(error)))
            continue  # one damaged image does not spoil a folder
        images.append(flat.plane[None])
        if how.scale == 0 and len(images) <= _MOST_COMPARED:
            widths.append(branch_widths(_standing_out(flat, part, how)))
        if how.with_backgrounds:
            parts = _standing_out(flat, min(0.5, _FILLED * part), how)
            backgrounds.append(without_parts(flat.plane, parts, flat.inside, rng)[None])
    if len(images) < 2:
        raise UserError(
            f"Folder {str(data)!r} has {len(images)} readable of {len(listing.refs)} images; due "
            "are at least 2. Put more images of the modality in it."
        )
    scale = how.scale or _compared(widths, masks)
    scales = (scale * _SPREAD[0], scale * _SPREAD[1])
    return ShapeData(tuple(images), tuple(backgrounds), tuple(masks), scales, part, tuple(failures))


def _read_shapes(
    folder: Path, how: ShapeDataConfig, on_progress: OnProgress, should_stop: ShouldStop
) -> tuple[list[NDArray[np.float16]], list[tuple[str, str]]]:
    listing = find_images(folder, "--shapes")
    found, failures = [], list(listing.failures)
    for number, ref in enumerate(listing.refs):
        _tell(number, len(listing.refs), "reading shapes", on_progress, should_stop)
        try:
            mask = read_shape(ref)
        except UserError as error:
            failures.append((ref.name, str(error)))
            continue
        planes = shape_planes(mask, how.least_width)
        if planes[0].any():
            found.append(planes)
        else:
            failures.append((ref.name, f"{ref.name!r} holds no shape that is wide enough."))
    if not found:
        reason = f" {failures[0][1]}" if failures else ""
        raise UserError(
            f"--shapes {str(folder)!r} holds no shape.{reason} Give pictures that are black "
            "but for the shapes."
        )
    return found, failures


def _standing_out(flat: FlatPicture, part: float, how: ShapeDataConfig) -> NDArray[np.bool_]:
    """Return the part of an image that is most likely shape: the darkest, or the lightest."""
    plane = flat.plane if how.is_dark else 255 - flat.plane
    return dark_parts(plane, flat.inside, part, how.size * REACH)


def _compared(widths: list[NDArray[np.float64]], shapes: list[NDArray[np.float16]]) -> float:
    """Return the scale at which wide branches of shapes are as wide as those of images."""
    own = [branch_widths(planes[0] > 0) for planes in shapes[:_MOST_COMPARED]]
    those, these = np.concatenate(widths), np.concatenate(own)
    if not len(those) or not len(these):
        return 1.0
    ratio = np.percentile(those, _COMPARED) / max(1.0, np.percentile(these, _COMPARED))
    return float(np.clip(ratio, 0.25, 4.0))


def _tell(
    number: int, total: int, what: str, on_progress: OnProgress, should_stop: ShouldStop
) -> None:
    if should_stop():
        raise Cancelled(f"Stopped while {what}; there is no checkpoint yet.")
    on_progress(Progress(number, total, what))
