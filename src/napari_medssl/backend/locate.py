"""Find the landmarks of templates in many images: the work of `medssl locate`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    error_text,
    ignore,
    never,
)
from napari_medssl.backend.landmark_choice import choose_landmark_model
from napari_medssl.backend.landmark_features import ImageFeatures
from napari_medssl.backend.landmark_files import read_picture, read_template, scan_pictures
from napari_medssl.backend.landmark_matcher import LandmarkMatcher
from napari_medssl.backend.landmark_values import LandmarkMatch, Place, Template
from napari_medssl.backend.locate_journal import LocateJournal
from napari_medssl.backend.match_landmarks import LandmarkUse, feature_store
from napari_medssl.io.image_names import full_name, short_names
from napari_medssl.io.landmarks import ImageLandmarks, Landmark


@dataclass(frozen=True)
class LocateConfig:
    """Find landmarks by the example of templates."""

    model: str = option(
        "", help="Name or file of the model; by default the shipped one that fits the images."
    )
    label: tuple[str, ...] = option(
        (), help="Only this landmark of the templates; may be given several times."
    )
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )
    cache: bool = option(True, help="Keep what is computed of each image for later runs.")


@dataclass(frozen=True, slots=True)
class LocateReport:
    """What was found.

    Attributes
    ----------
    images
        Landmarks of each image that could be read, "found" or "absent", in the order of the input.
    failures
        (name, reason) of what could not be read.
    model
        Name of the model that was used.
    resumed
        How many images an earlier run had finished.
    """

    images: tuple[ImageLandmarks, ...]
    failures: tuple[tuple[str, str], ...]
    model: str
    resumed: int = 0


def locate(
    templates: Sequence[tuple[str | Path, Path]],
    inputs: Sequence[str | Path],
    config: LocateConfig,
    *,
    journal: Path | None = None,
    recursive: bool = False,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> LocateReport:
    """Find the landmarks of templates in images; report a bad image and go on.

    An image that is one of the templates keeps that template's places.

    Parameters
    ----------
    templates
        Each a picture, and a file with its landmarks.
    inputs
        Pictures, and folders of them.
    journal
        File that keeps what is finished, so that a run that was stopped or killed goes on; it is
        removed by whoever has written the report.

    Raises
    ------
    UserError
        If a template, its landmarks, a label or the model cannot be used, or there is no picture.
    Cancelled
        If `should_stop` said so; the journal keeps what is finished.
    """
    check(config)
    if not templates:
        raise UserError("No template is given. Name its picture and its landmarks.")
    read = [read_template(image, landmarks) for image, landmarks in templates]
    refs, failures = scan_pictures(inputs, recursive=recursive)
    if not refs:
        told = f": {failures[0][1]}" if failures else ". Name pictures, or a folder of them."
        raise UserError(f"There is no picture to find landmarks in{told}")
    on_progress(Progress(0, len(refs), "loading the model"))
    pictures = [read_picture(ref) for ref, _ in read]
    model = config.model or choose_landmark_model(pictures)
    store = feature_store(LandmarkUse(model, config.device, "" if config.cache else None))
    known = [
        Template(store.features(picture), points)
        for picture, (_, points) in zip(pictures, read, strict=True)
    ]
    matcher = LandmarkMatcher(known, store.model.info.settings)
    labels = matcher.chosen(config.label or None)
    run = _run_key(store.model.info.identity, asdict(store.model.info.settings), known, labels)
    found: list[ImageLandmarks] = []
    with LocateJournal(journal, run) as finished:
        resumed = 0
        for done, (ref, name) in enumerate(zip(refs, short_names(refs), strict=True)):
            if should_stop():
                raise Cancelled(_stop_line(done, len(refs), journal))
            on_progress(Progress(done, len(refs), ref.name))
            kept = finished.find(ref)
            if kept is not None:
                resumed += 1
                found.append(replace(kept, image=name))
                continue
            try:
                features = store.features(read_picture(ref))
            except (UserError, MemoryError, OSError) as error:
                failures.append((full_name(ref), error_text(error)))
                continue
            image = _located(matcher, features, labels, name)
            finished.add(ref, image)
            found.append(image)
    on_progress(Progress(len(refs), len(refs), "done"))
    return LocateReport(tuple(found), tuple(failures), store.model.info.name, resumed)


def _located(
    matcher: LandmarkMatcher, features: ImageFeatures, labels: Sequence[str], name: str
) -> ImageLandmarks:
    """Return the landmarks of an image; those of a template are known already."""
    given: dict[str, Place] = {}
    for template in matcher.templates:
        if template.features.key == features.key:
            given = {**template.points, **given}
    own = [label for label in labels if label not in given]
    matches = {match.label: match for match in matcher.match(features, own, count=1)}
    landmarks = tuple(
        Landmark(label, *given[label], "found", 1.0)
        if label in given
        else as_landmark(matches[label])
        for label in labels
    )
    return ImageLandmarks(name, landmarks, features.width, features.height)


def as_landmark(match: LandmarkMatch) -> Landmark:
    """Return a match as a landmark of files: without a place if it is not in the image."""
    score = round(match.best.score, 4)
    if not match.is_present:
        return Landmark(match.label, None, None, "absent", score)
    # A thousandth of a pixel is more than any match is worth.
    return Landmark(match.label, round(match.best.x, 3), round(match.best.y, 3), "found", score)


def _run_key(
    identity: str, settings: Mapping[str, object], templates: Sequence[Template], labels: object
) -> str:
    """Return what tells a run from others whose results are not its own."""
    points = [(template.features.key, sorted(template.points.items())) for template in templates]
    text = json.dumps([identity, settings, points, labels], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _stop_line(done: int, total: int, journal: Path | None) -> str:
    kept = "Run the same command again to go on." if journal else "Nothing is written."
    return f"Stopped after {done} of {total} images; no landmark is written yet. {kept}"
