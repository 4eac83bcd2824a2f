"""Score the search for landmarks on images whose landmarks are known, with baselines beside.

Each of several templates is asked for its landmarks in every other image. What is scored is said
in `backend.landmark_scores`; the median over templates is told, because the template matters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.landmark_baselines import BASELINES, to_grey
from napari_medssl.backend.landmark_choice import choose_landmark_model
from napari_medssl.backend.landmark_features import check_landmark_image
from napari_medssl.backend.landmark_fields import FieldCache
from napari_medssl.backend.landmark_files import read_picture
from napari_medssl.backend.landmark_matcher import LandmarkMatcher
from napari_medssl.backend.landmark_models import UNTRAINED
from napari_medssl.backend.landmark_scores import (
    LandmarksReport,
    MethodScores,
    Outcome,
    median_scores,
    score_outcomes,
)
from napari_medssl.backend.landmark_values import Place, Template
from napari_medssl.backend.match_landmarks import LandmarkUse, feature_store
from napari_medssl.io.images import ImageRef, natural_key
from napari_medssl.io.landmarks import read_landmarks

TABLE = "landmarks.csv"

Finder = Callable[["KnownImage", "KnownImage"], Mapping[str, Place | None]]


@dataclass(frozen=True)
class EvaluateLandmarksConfig:
    """Score the search for landmarks by the example of a template."""

    data: Path = option(help="Folder with images and landmarks.csv (image,label,x,y).")
    model: tuple[str, ...] = option(
        (), help="Name or file of a model; may be given several times. By default what fits."
    )
    templates: int = option(5, help="Images that are the template in turn.", min=1)
    skip: int = option(0, help="Leave out the first images by name: a model has seen them.", min=0)
    baselines: bool = option(True, help="Also score what needs no learning.")
    mm_per_px: float = option(
        0.0,
        help="Scale of images of which the column mm_per_px says none; 0 if it is not known.",
        min=0,
        unit="mm/px",
    )
    device: str = option("auto", help="Where networks run.", choices=("auto", "cpu", "cuda", "mps"))
    cache: bool = option(True, help="Keep what is computed of each image for later runs.")


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image with its true landmarks: those that it shows; `mm_per_px` None if not known."""

    name: str
    pixels: NDArray[np.uint8]
    points: Mapping[str, Place]
    mm_per_px: float | None = None

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])


def evaluate_landmarks(
    config: EvaluateLandmarksConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> LandmarksReport:
    """Score models and baselines on a folder of images with known landmarks.

    Images that cannot be read are listed in `failures` and left out.

    Raises
    ------
    UserError
        If there are not two images with landmarks, or a model cannot be used.
    Cancelled
        If `should_stop` said so; a part of the scores would be of other images.
    """
    check(config)
    images, failures = read_known_images(config.data, config.skip)
    templates = choose_templates(images, config.templates)
    names = config.model or (choose_landmark_model([image.pixels for image in templates]),)
    methods = [*names, *((UNTRAINED, *BASELINES) if config.baselines else ())]
    total = len(methods) * len(templates) * (len(images) - 1)
    scored: list[MethodScores] = []
    for number, method in enumerate(methods):
        finder = _finder(method, config)
        run = _Run(finder, config.mm_per_px or None)
        for done, (template, image) in enumerate(
            (template, image) for template in templates for image in images
        ):
            if should_stop():
                raise Cancelled(
                    f"Stopped in {method!r}, the {number + 1}. of {len(methods)} methods; no "
                    "score is written, since it would be of a part."
                )
            if template is not image:
                step = number * total // len(methods) + done * total // (
                    len(methods) * len(templates) * len(images)
                )
                on_progress(Progress(step, total, f"{method}: {image.name}"))
                run.add(template, image)
        scored.append(run.scores(method))
    return LandmarksReport(
        str(config.data),
        len(images),
        tuple(template.name for template in templates),
        tuple(scored),
        tuple(failures),
        sum(bool(image.mm_per_px or config.mm_per_px) for image in images),
    )


def read_known_images(
    folder: Path, skip: int = 0
) -> tuple[list[KnownImage], list[tuple[str, str]]]:
    """Return the images of a folder with their landmarks by name, and what could not be read.

    Parameters
    ----------
    folder
        Holds landmarks.csv, and the images that it names, there or in "images".
    skip
        The first so many by name are left out.

    Raises
    ------
    UserError
        If there is no such file, or fewer than two of its images can be read.
    """
    table = folder / TABLE
    if not table.is_file():
        raise UserError(
            f"--data {str(folder)!r} has no {TABLE}. Due is a folder with images and {TABLE}, "
            "columns image,label,x,y."
        )
    listed = sorted(read_landmarks(table).images, key=lambda image: natural_key(image.image))
    images, failures = [], []
    for marks in listed[skip:]:
        points = {m.label: m.place for m in marks.landmarks if m.place is not None}
        try:
            pixels = check_landmark_image(read_picture(_find(folder, marks.image)))
        except UserError as error:
            failures.append((marks.image, str(error)))
            continue
        side = None if marks.spacing_mm is None else marks.spacing_mm[0]
        images.append(KnownImage(marks.image, pixels, points, side))
    if len(images) < 2 or not any(image.points for image in images):
        told = f": {failures[0][1]}" if failures else "."
        raise UserError(
            f"{str(folder)!r} has {len(images)} readable images with landmarks; due are at least 2"
            f"{told}"
        )
    return images, failures


def choose_templates(images: Sequence[KnownImage], count: int) -> list[KnownImage]:
    """Return templates among images: those with the most landmarks, evenly spread over them."""
    most = max(len(image.points) for image in images)
    full = [image for image in images if len(image.points) == most]
    places = np.unique(np.linspace(0, len(full) - 1, min(count, len(full))).round().astype(int))
    return [full[place] for place in places]


class _Run:
    """Gathers what becomes of the landmarks of several templates."""

    def __init__(self, finder: Finder, mm_per_px: float | None) -> None:
        self._finder = finder
        self._mm_per_px = mm_per_px
        self._outcomes: dict[str, list[Outcome]] = {}
        self._seconds: list[float] = []
        self._told_absent: list[bool] = []

    def add(self, template: KnownImage, image: KnownImage) -> None:
        """Look for the landmarks of a template in an image."""
        start = time.perf_counter()
        found = self._finder(template, image)
        self._seconds.append(time.perf_counter() - start)
        outcomes = self._outcomes.setdefault(template.name, [])
        for label in template.points:
            place, true = found[label], image.points.get(label)
            if true is None:
                self._told_absent.append(place is None)
            else:
                error = math.nan if place is None else math.dist(place, true)
                side = image.mm_per_px or self._mm_per_px
                outcomes.append(Outcome(label, error, image.width, side))

    def scores(self, name: str) -> MethodScores:
        """Return the medians over templates."""
        each = self._outcomes
        labels = dict.fromkeys(outcome.label for own in each.values() for outcome in own)
        of_label = {
            label: median_scores(
                [score_outcomes(o for o in own if o.label == label) for own in each.values()]
            )
            for label in labels
        }
        by_template = {template: score_outcomes(own) for template, own in each.items()}
        absent = round(float(np.mean(self._told_absent)), 6) if self._told_absent else None
        return MethodScores(
            name=name,
            overall=median_scores(list(by_template.values())),
            each_label=of_label,
            each_template=by_template,
            absent_told=absent,
            seconds=round(float(np.median(self._seconds)), 6),
        )


def _finder(method: str, config: EvaluateLandmarksConfig) -> Finder:
    """Return what finds the landmarks of one image in another by a method."""
    if method in BASELINES:
        baseline = BASELINES[method]
        return lambda template, image: baseline(
            to_grey(template.pixels), template.points, to_grey(image.pixels)
        )
    cache = "" if config.cache and method != UNTRAINED else None
    return partial(_by_model, LandmarkUse(method, config.device, cache), FieldCache())


def _by_model(
    use: LandmarkUse, fields: FieldCache, template: KnownImage, image: KnownImage
) -> dict[str, Place | None]:
    store = feature_store(use)
    known = Template(store.features(template.pixels), template.points)
    matcher = LandmarkMatcher([known], store.model.info.settings, fields)
    found = matcher.match(store.features(image.pixels), count=1)
    return {m.label: (m.best.x, m.best.y) if m.is_present else None for m in found}


def _find(folder: Path, name: str) -> ImageRef:
    """Return the picture of a name, in the folder or in its "images"."""
    for place in (folder / "images" / name, folder / name):
        ref = ImageRef.parse(place)
        if ref.path.is_file():
            return ref
    raise UserError(f"Image {name!r} of {TABLE} is neither in {str(folder)!r} nor in its images/.")
