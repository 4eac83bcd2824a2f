"""Separate the figures of files and folders: the work of `medssl separate` and of "all figures"."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.figures import SeparateConfig, Separator
from napari_medssl.backend.jobs import (
    OnProgress,
    Progress,
    ShouldStop,
    error_text,
    ignore,
    never,
)
from napari_medssl.io.boxes import ImageBoxes
from napari_medssl.io.image_names import full_name, short_names
from napari_medssl.io.images import ImageListing, ImageRef, read_image, scan_images


@dataclass(frozen=True)
class SeparateReport:
    """What a run over many inputs gave: boxes per image, and `(name, reason)` of what failed.

    `left` is the number of figures that were not looked at because the run was asked to stop.
    """

    results: tuple[ImageBoxes, ...]
    failures: tuple[tuple[str, str], ...]
    left: int = 0


OnFigure = Callable[[ImageRef, np.ndarray, ImageBoxes], None]


def separate_files(
    inputs: Iterable[str | Path] | ImageListing,
    config: SeparateConfig | None = None,
    *,
    recursive: bool = False,
    on_figure: OnFigure | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SeparateReport:
    """Separate every figure in `inputs`; report a bad one and go on.

    The results name each figure by its path below the folder that holds all of them, as annotation
    tools expect; failures name it in full.

    Asked to stop, it returns what is finished: the boxes of hours of work are nowhere else.

    Parameters
    ----------
    inputs
        Files and folders, or what `scan_images` found in them.
    on_figure
        Called with each figure, its pixels and its boxes as soon as they are there. A `UserError`
        of it counts as a failure of that figure; its boxes are kept.

    Raises
    ------
    UserError
        If the model or the device can't be had.
    """
    if isinstance(inputs, ImageListing):
        listing = inputs
    else:
        listing = scan_images(inputs, recursive=recursive)
    failures = list(listing.failures)
    if not listing.refs:
        return SeparateReport((), tuple(failures))
    on_progress(Progress(0, len(listing.refs), "loading the model"))
    separator = Separator(config)
    names = short_names(listing.refs)
    results: list[ImageBoxes] = []
    for done, ref in enumerate(listing.refs):
        if should_stop():
            return SeparateReport(tuple(results), tuple(failures), len(listing.refs) - done)
        on_progress(Progress(done, len(listing.refs), ref.name))
        try:
            image = read_image(ref)
            boxes = separator.separate(image)
        except (UserError, MemoryError) as error:
            failures.append((full_name(ref), error_text(error)))
            continue
        found = ImageBoxes(names[done], image.shape[1], image.shape[0], tuple(boxes))
        results.append(found)
        if on_figure is not None:
            try:
                on_figure(ref, image, found)
            except UserError as error:
                failures.append((full_name(ref), str(error)))
    on_progress(Progress(len(listing.refs), len(listing.refs), "done"))
    return SeparateReport(tuple(results), tuple(failures))
