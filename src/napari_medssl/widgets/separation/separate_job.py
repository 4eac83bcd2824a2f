"""Find panels off the GUI thread: of the figure in front at once, of many as a job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, error_text
from napari_medssl.io.boxes import Box
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.widgets.separation.session import DEFAULT_THRESHOLD

LOWEST_SCORE = 0.08
_SAME = 0.3


class FigureSeparator(Protocol):
    """What finds panels; `napari_medssl.backend.figures.Separator` is one."""

    default_score: float

    def separate(self, image: NDArray[np.uint8], *, score: float | None = None) -> list[Box]:
        """Return the boxes of at least a score, by default `default_score`."""


def make_separator(model: str = "", device: str = "auto") -> FigureSeparator:
    """Load a trained detector: takes seconds the first time, so never call it on the GUI thread.

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
    from napari_medssl.backend.figures import SeparateConfig, Separator

    chosen = {"model": model} if model else {}
    return Separator(SeparateConfig(device=device, **chosen))  # type: ignore[arg-type]


def usual_score(model: str = "") -> float:
    """Return the least score at which a model finds panels, from its card alone.

    Boxes that `medssl separate` put into a project must not be hidden when it is opened.
    """
    from napari_medssl.backend.figures import DEFAULT_MODEL
    from napari_medssl.backend.models import load_card

    try:
        return load_card(model or DEFAULT_MODEL).default_score
    except UserError:  # told when it is asked to find panels
        return DEFAULT_THRESHOLD


class SeparatorHolder:
    """Make the separator when it is first needed, once, in whatever thread that is."""

    def __init__(self, factory: Callable[[], FigureSeparator]) -> None:
        self._factory = factory
        self._lock = threading.Lock()
        self._separator: FigureSeparator | None = None

    def use(self, factory: Callable[[], FigureSeparator]) -> None:
        """Take another separator from the next figure on."""
        with self._lock:
            self._factory, self._separator = factory, None

    def get(self) -> FigureSeparator:
        """Return the separator, made if need be."""
        with self._lock:
            if self._separator is None:
                self._separator = self._factory()
            return self._separator


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


@dataclass(frozen=True)
class SeparateMany:
    """A job for a `JobPanel`: figures `(key, path, page)` in the order of work."""

    figures: tuple[tuple[str, Path, int | None], ...]
    holder: SeparatorHolder

    @staticmethod
    def run(
        config: SeparateMany, *, on_progress: OnProgress, should_stop: ShouldStop
    ) -> list[Found]:
        """Find the panels of all; each is reported as soon as it is there.

        Returns those that could not be read.

        Raises
        ------
        UserError
            If the model cannot be loaded.
        Cancelled
            If `should_stop` said so, within one figure.
        """
        total = len(config.figures)
        on_progress(Progress(0, total, "Loading the model"))
        separator = config.holder.get()
        failed = []
        for done, (key, path, page) in enumerate(config.figures):
            if should_stop():
                raise Cancelled
            found = separate_one(separator, key, ImageRef(path, page))
            if found.error:
                failed.append(found)
            on_progress(Progress(done + 1, total, path.name, {"found": found}))
        return failed


def separate_one(separator: FigureSeparator, key: str, ref: ImageRef) -> Found:
    """Read an image and find its panels; a bad file gives a line."""
    try:
        image = read_image(ref)
        boxes = find_panels(separator, image)
    except UserError as error:
        return Found(key, error=error_text(error))
    return Found(key, (image.shape[1], image.shape[0]), boxes, separator.default_score)


def separate_now(
    holder: SeparatorHolder, key: str, ref: ImageRef, *, should_stop: ShouldStop
) -> Found:
    """Find the panels of the figure in front, for `LiveRequests`."""
    separator = holder.get()
    if should_stop():
        raise Cancelled
    found = separate_one(separator, key, ref)
    if found.error:
        raise UserError(found.error)
    return found


def read_for_display(key: str, ref: ImageRef, *, should_stop: ShouldStop) -> dict[str, Any]:
    """Read an image and the mask of its ink, for `LiveRequests`; or give the reason why not."""
    from napari_medssl.methods.simcfs.gutters import ink_mask

    try:
        image = read_image(ref)
    except UserError as error:
        return {"key": key, "error": error_text(error)}
    if should_stop():
        raise Cancelled
    return {"key": key, "error": "", "image": image, "ink": ink_mask(image)}
