"""Find panels off the GUI thread: of the figure in front at once, of many as a job.

The detector runs in the compute process; the process of the window never imports torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.find_panels import (
    FigureSeparator,
    FigureToSeparate,
    Found,
    separate_in_turn,
    separate_one,
)
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, error_text
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.widgets.separation.session import DEFAULT_THRESHOLD

_BACKEND = "napari_medssl.backend.find_panels"


class PanelFinder(Protocol):
    """What finds panels, in whatever thread it is called; nothing of it runs in the GUI thread."""

    def prepare(self, *, on_progress: OnProgress, should_stop: ShouldStop) -> None:
        """Load what the first figure needs."""

    def find(self, key: str, ref: ImageRef, *, should_stop: ShouldStop) -> Found:
        """Return the panels of one figure; UserError if it or the model cannot be read."""

    def find_many(
        self,
        figures: Sequence[FigureToSeparate],
        *,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> list[Found]:
        """Report each figure as soon as it is there; return those that could not be read."""


@dataclass(frozen=True)
class TrainedFinder:
    """The trained detector, in the compute process.

    Parameters
    ----------
    model
        Registered name or file; empty for the one that is shipped.
    device
        Where it runs, "auto" for the fastest there is.
    """

    model: str = ""
    device: str = "auto"

    def prepare(self, *, on_progress: OnProgress, should_stop: ShouldStop) -> None:
        """Load the model; see `PanelFinder`."""
        compute_process().call(
            f"{_BACKEND}:load_separator",
            self.model,
            self.device,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    def find(self, key: str, ref: ImageRef, *, should_stop: ShouldStop) -> Found:
        """Return the panels of one figure; see `PanelFinder`."""
        found: Found = compute_process().call(
            f"{_BACKEND}:separate_figure",
            self.model,
            self.device,
            key,
            ref,
            should_stop=should_stop,
        )
        return found

    def find_many(
        self,
        figures: Sequence[FigureToSeparate],
        *,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> list[Found]:
        """Find the panels of many figures; see `PanelFinder`."""
        failed: list[Found] = compute_process().call(
            f"{_BACKEND}:separate_figures",
            self.model,
            self.device,
            figures,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        return failed


class GivenFinder:
    """A separator that was handed in, made when first needed and run in this process.

    Parameters
    ----------
    factory
        Makes it; called once, by the first thread that needs it.
    """

    def __init__(self, factory: Callable[[], FigureSeparator]) -> None:
        self._factory = factory
        self._lock = threading.Lock()
        self._separator: FigureSeparator | None = None

    def prepare(self, *, on_progress: OnProgress, should_stop: ShouldStop) -> None:
        """Do nothing: it is made for the first figure."""

    def find(self, key: str, ref: ImageRef, *, should_stop: ShouldStop) -> Found:
        """Return the panels of one figure; see `PanelFinder`."""
        separator = self._get()
        if should_stop():
            raise Cancelled
        found = separate_one(separator, key, ref)
        if found.error:
            raise UserError(found.error)
        return found

    def find_many(
        self,
        figures: Sequence[FigureToSeparate],
        *,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> list[Found]:
        """Find the panels of many figures; see `PanelFinder`."""
        on_progress(Progress(0, len(figures), "Loading the model"))
        return separate_in_turn(
            self._get(), figures, on_progress=on_progress, should_stop=should_stop
        )

    def _get(self) -> FigureSeparator:
        with self._lock:
            if self._separator is None:
                self._separator = self._factory()
            return self._separator


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


@dataclass(frozen=True)
class SeparateMany:
    """A job for a `JobPanel`: figures `(key, path, page)` in the order of work."""

    figures: tuple[FigureToSeparate, ...]
    finder: PanelFinder

    @staticmethod
    def run(
        config: SeparateMany, *, on_progress: OnProgress, should_stop: ShouldStop
    ) -> list[Found]:
        """Find the panels of all, see `PanelFinder.find_many`."""
        return config.finder.find_many(
            config.figures, on_progress=on_progress, should_stop=should_stop
        )


def prepare_finder(
    finder: PanelFinder, *, on_progress: OnProgress, should_stop: ShouldStop
) -> None:
    """Load what a finder needs, as a `Job`."""
    finder.prepare(on_progress=on_progress, should_stop=should_stop)


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
