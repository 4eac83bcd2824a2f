"""What compares images: the compute process, or in tests something that is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.jobs import ShouldStop, never
from napari_medssl.backend.landmark_suggestion import Suggestion
from napari_medssl.backend.landmark_values import SimilarityPicture
from napari_medssl.backend.match_landmarks import (
    ImageMatches,
    LandmarkUse,
    PlacedTemplate,
    SeenImage,
)

_MODULE = "napari_medssl.backend.match_landmarks:"


class Engine(Protocol):
    """Finds landmarks; every method blocks and belongs in a thread. Raises as the backend does."""

    def look(self, source: str, should_stop: ShouldStop = never) -> SeenImage:
        """Compute the features of an image file and return its key."""
        ...

    def prepare(
        self, templates: Sequence[str], images: Sequence[str], should_stop: ShouldStop = never
    ) -> None:
        """Lay templates over images, both by key, so that the first click is quick."""
        ...

    def match(
        self,
        templates: Sequence[PlacedTemplate],
        images: Sequence[str],
        labels: Sequence[str],
        should_stop: ShouldStop = never,
    ) -> tuple[ImageMatches, ...]:
        """Return where landmarks are in images."""
        ...

    def picture(
        self, templates: Sequence[PlacedTemplate], image: str, label: str
    ) -> SimilarityPicture | None:
        """Return how like a landmark each part of an image looks; None if features are gone."""
        ...

    def suggest(
        self, templates: Sequence[str], images: Sequence[str], uncertainty: Mapping[str, float]
    ) -> Suggestion | None:
        """Return which image, by key, helps most as a further template; None if none does."""
        ...


class ComputeEngine:
    """The backend in the compute process.

    Parameters
    ----------
    use
        Model, device and cache; an empty name of the model takes the one that fits the first image.
    on_chosen
        Called with the name of the model that was taken, in the thread of `look`.
    """

    def __init__(self, use: LandmarkUse, on_chosen: Callable[[str], None]) -> None:
        self.use = use
        self._on_chosen = on_chosen

    def look(self, source: str, should_stop: ShouldStop = never) -> SeenImage:
        """See `Engine.look`; nothing else is asked for before the first one is done."""
        if not self.use.model:
            name = compute_process().call(
                f"{_MODULE}choose_model", _source(source), should_stop=should_stop
            )
            self.use = replace(self.use, model=name)
            self._on_chosen(name)
        found: SeenImage = compute_process().call(
            f"{_MODULE}look_at_image", self.use, _source(source), should_stop=should_stop
        )
        return found

    def prepare(
        self, templates: Sequence[str], images: Sequence[str], should_stop: ShouldStop = never
    ) -> None:
        """See `Engine.prepare`; what is gone is told by `match`."""
        compute_process().call(
            f"{_MODULE}prepare_pairs",
            self.use,
            list(templates),
            list(images),
            should_stop=should_stop,
        )

    def match(
        self,
        templates: Sequence[PlacedTemplate],
        images: Sequence[str],
        labels: Sequence[str],
        should_stop: ShouldStop = never,
    ) -> tuple[ImageMatches, ...]:
        """See `Engine.match`."""
        found: tuple[ImageMatches, ...] = compute_process().call(
            f"{_MODULE}match_landmarks",
            self.use,
            list(templates),
            list(images),
            list(labels),
            should_stop=should_stop,
        )
        return found

    def picture(
        self, templates: Sequence[PlacedTemplate], image: str, label: str
    ) -> SimilarityPicture | None:
        """See `Engine.picture`."""
        found: SimilarityPicture | None = compute_process().call(
            f"{_MODULE}similarity_picture", self.use, list(templates), image, label
        )
        return found

    def suggest(
        self, templates: Sequence[str], images: Sequence[str], uncertainty: Mapping[str, float]
    ) -> Suggestion | None:
        """See `Engine.suggest`."""
        found: Suggestion | None = compute_process().call(
            f"{_MODULE}suggest_next_template",
            self.use,
            list(templates),
            list(images),
            dict(uncertainty),
        )
        return found


def _source(source: str) -> str:
    return source if "#page=" in source else str(Path(source))
