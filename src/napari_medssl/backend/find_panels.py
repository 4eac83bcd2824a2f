"""Find panels on demand, for a window: of the figure in front, or of many one after the other.

`separate_figure` and `separate_figures` are called in the compute process
(`backend.compute_process`), so they take and give what can be pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.figures import DEFAULT_MODEL, SeparateConfig, Separator
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    error_text,
    ignore,
    never,
)
from napari_medssl.backend.model_cache import ModelCache
from napari_medssl.io.boxes import Box
from napari_medssl.io.images import ImageRef, read_image

LOWEST_SCORE = 0.08
_SAME = 0.3

FigureToSeparate = tuple[str, Path, int | None]
_SEPARATORS: ModelCache[Separator] = ModelCache(capacity=2)


class FigureSeparator(Protocol):
    """What finds panels; `napari_medssl.backend.figures.Separator` is one."""

    default_score: float

    def separate(self, image: NDArray[np.uint8], *, score: float | None = None) -> list[Box]:
        """Return the boxes of at least a score, by default `default_score`."""


@dataclass(frozen=True)
class Found:
    """The panels of one figure, or why there are none.

    `boxes` holds those that `medssl separate` writes and, with lower scores, further candidates
    that touch none of these; `threshold` lies between the two.
    """

    key: str
    size: tuple[int, int] = (0, 0)
    boxes: tuple[Box, ...] = ()
    threshold: float = 0.0
    error: str = ""


def find_panels(separator: FigureSeparator, image: NDArray[np.uint8]) -> tuple[Box, ...]:
    """Return the boxes of an image (Y, X, 3), and those of lower score that touch none of them."""
    boxes = separator.separate(image)
    lowest = min(LOWEST_SCORE, separator.default_score)
    for candidate in separator.separate(image, score=lowest):
        is_low = candidate.score is not None and candidate.score < separator.default_score
        if is_low and all(_shared(candidate, box) <= _SAME for box in boxes):
            boxes.append(candidate)
    return tuple(boxes)


def _shared(a: Box, b: Box) -> float:
    """Return the share of the smaller box that lies in the other."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    smaller = min(a.area, b.area)
    return width * height / smaller if width > 0 and height > 0 and smaller > 0 else 0.0


def separate_one(separator: FigureSeparator, key: str, ref: ImageRef) -> Found:
    """Read an image and find its panels; a bad file gives a line."""
    try:
        image = read_image(ref)
        boxes = find_panels(separator, image)
    except UserError as error:
        return Found(key, error=error_text(error))
    return Found(key, (image.shape[1], image.shape[0]), boxes, separator.default_score)


def separate_in_turn(
    separator: FigureSeparator,
    figures: Sequence[FigureToSeparate],
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> list[Found]:
    """Find the panels of figures `(key, path, page)`; return those that could not be read.

    Each is reported as soon as it is there, in `Progress.values["found"]`.

    Raises
    ------
    Cancelled
        If `should_stop` said so, within one figure.
    """
    failed = []
    for done, (key, path, page) in enumerate(figures):
        if should_stop():
            raise Cancelled
        found = separate_one(separator, key, ImageRef(path, page))
        if found.error:
            failed.append(found)
        on_progress(Progress(done + 1, len(figures), path.name, {"found": found}))
    return failed


def load_separator(
    model: str = "",
    device: str = "auto",
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> None:
    """Load a detector and let it look once, so that the first figure finds it warm.

    Parameters
    ----------
    model
        Registered name or file; empty for the one that is shipped.
    device
        Where it runs, "auto" for the fastest there is.

    Raises
    ------
    UserError
        If the model is missing or damaged, or the device is absent.
    """
    separator = _separator(model, device)
    if not should_stop():
        separator.separate(np.full((448, 448, 3), 255, np.uint8))


def separate_figure(
    model: str,
    device: str,
    key: str,
    ref: ImageRef,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Found:
    """Find the panels of one figure; raise as `load_separator`, or if the file cannot be read."""
    separator = _separator(model, device)
    if should_stop():
        raise Cancelled
    found = separate_one(separator, key, ref)
    if found.error:
        raise UserError(found.error)
    return found


def separate_figures(
    model: str,
    device: str,
    figures: Sequence[FigureToSeparate],
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> list[Found]:
    """Find the panels of many figures, as `separate_in_turn` does; raise as `load_separator`."""
    on_progress(Progress(0, len(figures), "Loading the model"))
    separator = _separator(model, device)
    return separate_in_turn(separator, figures, on_progress=on_progress, should_stop=should_stop)


def _separator(model: str, device: str) -> Separator:
    """Return a separator that is kept: it remembers the image that it looked at last."""
    name = model or DEFAULT_MODEL
    return _SEPARATORS.get(
        (name, device), lambda: Separator(SeparateConfig(model=name, device=device))
    )
