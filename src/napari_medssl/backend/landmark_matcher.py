"""Find the landmarks of one or several templates in another image, and tell when they are absent.

Coarse to fine, see `methods.local_discrimination`: the template is laid over the image as a whole
(`registration.register`); then a window around each landmark is searched for, where a distance
from the place so found costs (`matching`). The way back from the image to the template tells
whether a place is to be trusted.

Places of people are in pixels, the centre of the top left pixel at (0, 0); those of maps are in
widths, counted from its corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend.landmark_features import ImageFeatures, MatchSettings, as_tensor
from napari_medssl.backend.landmark_fields import FieldCache, Overlay
from napari_medssl.backend.landmark_values import (
    Candidate,
    LandmarkMatch,
    Place,
    SimilarityPicture,
    Template,
)

if TYPE_CHECKING:
    from torch import Tensor


class LandmarkMatcher:
    """Finds landmarks of templates in images, by features of one model.

    Parameters
    ----------
    templates
        At least one, with at least one landmark in all; a label may have points in several.
    settings
        Of the model.
    fields
        Where registrations are kept; by default for this matcher alone.

    Raises
    ------
    UserError
        If there is no landmark, or one lies outside its template.
    """

    def __init__(
        self,
        templates: Sequence[Template],
        settings: MatchSettings | None = None,
        fields: FieldCache | None = None,
    ) -> None:
        self.templates = tuple(templates)
        self.settings = settings or MatchSettings()
        self._fields = fields or FieldCache()
        self.labels = tuple(dict.fromkeys(label for t in self.templates for label in t.points))
        if not self.labels:
            raise UserError("The template has no landmarks. Place at least one on it.")
        for template in self.templates:
            for label, place in template.points.items():
                _check_inside(label, place, template.features)

    def prepare(self, image: ImageFeatures) -> None:
        """Lay every template over an image and back, so that `match` is quick."""
        for template in self.templates:
            self._overlay(template.features, image)
            self._overlay(image, template.features)

    def match(
        self, image: ImageFeatures, labels: Sequence[str] | None = None, *, count: int = 5
    ) -> tuple[LandmarkMatch, ...]:
        """Return where landmarks are in an image, in the order of `labels` (all by default).

        Parameters
        ----------
        image
            Features of the same model as the templates'.
        labels
            Of the templates.
        count
            Most candidates of each.

        Raises
        ------
        UserError
            If a label is not one of the templates'.
        """
        from napari_medssl.methods.local_discrimination.matching import find_peaks

        chosen = self.chosen(labels)
        if not chosen:
            return ()
        plain, score = self._maps(image, chosen)
        found = []
        for number, label in enumerate(chosen):
            places = [(peak.x, peak.y) for peak in find_peaks(score[number], count)]
            candidates = self._candidates(label, image, places, _heights(plain[number], places))
            found.append(LandmarkMatch(label, candidates, self._is_present(candidates[0], image)))
        return tuple(found)

    def similarity(self, image: ImageFeatures, label: str) -> SimilarityPicture:
        """Return how like a landmark each cell of an image looks, wherever it is.

        Raises
        ------
        UserError
            If the label is not one of the templates'.
        """
        plain, _ = self._maps(image, self.chosen([label]))
        values = plain[0].numpy()
        step = (image.width / values.shape[1], image.height / values.shape[0])
        return SimilarityPicture(values, step, (step[0] / 2 - 0.5, step[1] / 2 - 0.5))

    def chosen(self, labels: Sequence[str] | None) -> tuple[str, ...]:
        """Return labels, all of them for None; raise `UserError` for one that no template has."""
        if labels is None:
            return self.labels
        unknown = next((label for label in labels if label not in self.labels), None)
        if unknown is not None:
            raise UserError(
                f"No template has a landmark {unknown!r}. Choose from {', '.join(self.labels)}."
            )
        return tuple(labels)

    def _maps(self, image: ImageFeatures, labels: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return similarity maps (N, H, W) of labels, and the same less what distance costs.

        Those of several templates are averaged: a place has to look like all of them.
        """
        import torch

        from napari_medssl.methods.local_discrimination.registration import place_of

        plain: dict[str, list[Tensor]] = {label: [] for label in labels}
        score: dict[str, list[Tensor]] = {label: [] for label in labels}
        for template in self.templates:
            own = [label for label in labels if label in template.points]
            if not own:
                continue
            points = _in_widths([template.points[label] for label in own], template.features.width)
            alike = self._alike(template.features, points, image)
            field = self._overlay(template.features, image).field
            held = self._held(alike, place_of(field, points))
            for number, label in enumerate(own):
                plain[label].append(alike[number])
                score[label].append(held[number])
        return tuple(  # type: ignore[return-value]
            torch.stack([torch.stack(maps[label]).mean(dim=0) for label in labels])
            for maps in (plain, score)
        )

    def _alike(self, source: ImageFeatures, points: Tensor, target: ImageFeatures) -> Tensor:
        """Return how like points (N, 2) of one image every cell of another is, (N, H, W)."""
        from napari_medssl.methods.local_discrimination.matching import (
            landmark_windows,
            similarity_maps,
        )

        window, sigma = self.settings.window, self.settings.sigma
        windows = landmark_windows(self._fine(source), points, window)
        return similarity_maps(windows, self._fine(target), sigma) / len(source.fine)

    def _held(self, alike: Tensor, places: Tensor) -> Tensor:
        """Return similarity maps (N, H, W) less what the distance from places (N, 2) costs."""
        from napari_medssl.methods.local_discrimination.matching import pulled

        return pulled(alike, places, self.settings.pull, self.settings.most_pull)

    def _fine(self, features: ImageFeatures) -> Tensor:
        """Return the fine maps one upon the other: a cosine of theirs is a sum of cosines."""
        import torch

        return torch.cat([as_tensor(maps) for maps in features.fine])

    def _candidates(
        self, label: str, image: ImageFeatures, places: Sequence[Place], heights: Sequence[float]
    ) -> tuple[Candidate, ...]:
        """Return places, in widths, as candidates, each with the best of its ways back."""
        numbers = [n for n, template in enumerate(self.templates) if label in template.points]
        ways = [self._cycles(self.templates[n], label, image, places) for n in numbers]
        found = []
        for place, height, *misses in zip(places, heights, *ways, strict=True):
            cycle, number = min(zip(misses, numbers, strict=True))
            x, y = (value * image.width - 0.5 for value in place)
            found.append(Candidate(x, y, min(1.0, max(0.0, height)), cycle, number))
        return tuple(found)

    def _cycles(
        self, template: Template, label: str, image: ImageFeatures, places: Sequence[Place]
    ) -> list[float]:
        """Return how far the ways back from places miss, in pixels of the template."""
        import torch

        from napari_medssl.methods.local_discrimination.matching import find_peaks
        from napari_medssl.methods.local_discrimination.registration import place_of

        points = torch.tensor(places, dtype=torch.float32)
        back = self._alike(image, points, template.features)
        field = self._overlay(image, template.features).field
        width = template.features.width
        x, y = template.points[label]
        misses = []
        for score in self._held(back, place_of(field, points)):
            peak = find_peaks(score, 1)[0]
            misses.append(math.hypot(peak.x * width - 0.5 - x, peak.y * width - 0.5 - y))
        return misses

    def _overlay(self, template: ImageFeatures, image: ImageFeatures) -> Overlay:
        return self._fields.overlay(template, image, self.settings.smoothness)

    def _is_present(self, best: Candidate, image: ImageFeatures) -> bool:
        settings, template = self.settings, self.templates[best.template].features
        return (
            best.score >= settings.least_score
            and best.cycle <= settings.most_cycle * template.width
            and self._overlay(template, image).likeness >= settings.least_likeness
        )


def _in_widths(places: Sequence[Place], width: int) -> Tensor:
    import torch

    return (torch.tensor(places, dtype=torch.float32) + 0.5) / width


def _heights(values: Tensor, places: Sequence[Place]) -> list[float]:
    """Return a map (H, W) at places in widths."""
    import torch

    from napari_medssl.methods.local_discrimination.registration import sample

    points = torch.tensor(places, dtype=torch.float32)
    return [float(value) for value in sample(values[None], points)[:, 0]]


def _check_inside(label: str, place: Place, features: ImageFeatures) -> None:
    x, y = place
    if not (-0.5 <= x <= features.width - 0.5 and -0.5 <= y <= features.height - 0.5):
        raise UserError(
            f"Landmark {label!r} at {x:g}, {y:g} lies outside its template of {features.width} x "
            f"{features.height} pixels. Check that points and template belong together."
        )
