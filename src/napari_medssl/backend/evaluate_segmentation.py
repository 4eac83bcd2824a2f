"""Score segmentations of images whose truth is known, beside what needs no training.

DSC per image. Surface distances are to join it (see `segmentation_scores`): each `ClassScores`
holds one figure an image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.flat_pictures import FlatPicture, flat_picture
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.region_maps import enlarged
from napari_medssl.backend.segmentation_data import Pair, read_pairs
from napari_medssl.backend.segmentation_scores import MethodScores, score_classes
from napari_medssl.backend.segmenters import READOUTS, SegmentConfig, Segmenter, load_segmenter


@dataclass(frozen=True)
class EvaluateSegmentationConfig:
    """Score segmentations per image by the Dice coefficient."""

    data: Path = option(help="Folder with pairs.csv (image,mask,group,labels), images/, masks/.")
    model: tuple[str, ...] = option(
        (), help="Models to score; shape-guided ones in both readouts. May be given again."
    )
    clusters: str = option(
        "", help="Also score the regions of this local-discrimination model, the best of them."
    )
    baselines: bool = option(True, help="Also k-means, Frangi, Sato and darkness.")
    size: int = option(
        736, help="Field of view that filters look at, longer side.", min=64, unit="px",
        advanced=True,
    )  # fmt: skip
    device: str = option("auto", help="Where to run.", choices=("auto", "cpu", "cuda", "mps"))


@dataclass(frozen=True)
class SegmentationReport:
    """Scores of methods on the same images."""

    data: str
    images: tuple[str, ...]
    groups: tuple[str, ...]
    methods: tuple[MethodScores, ...]
    failures: tuple[tuple[str, str], ...]

    def to_json(self) -> str:
        """Return the report as JSON text, image by image."""
        methods = [
            {
                "method": one.name,
                "labels_seen": one.labels_seen,
                "classes": {
                    scores.name: {
                        "dsc_mean": scores.mean,
                        "dsc_std": scores.std,
                        "dsc": dict(zip(self.images, scores.dice, strict=True)),
                    }
                    for scores in one.classes
                },
            }
            for one in self.methods
        ]
        values: dict[str, Any] = {
            "data": self.data,
            "groups": dict(zip(self.images, self.groups, strict=True)),
            "methods": methods,
            "failures": dict(self.failures),
        }
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class _Image:
    """An image with its truth, class numbers of shape (Y, X)."""

    pair: Pair
    pixels: NDArray[np.uint8]
    truth: NDArray[np.uint8]


def evaluate_segmentation(
    config: EvaluateSegmentationConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SegmentationReport:
    """Segment every image by every method, and score it.

    Images that cannot be read are listed in `failures` and left out.

    Raises
    ------
    UserError
        If there are no images, no methods, or a model that does not segment.
    Cancelled
        If it was asked to stop; scores of a part would be of other images.
    """
    check(config)
    if not (config.model or config.baselines or config.clusters):
        raise UserError("Nothing is to be scored. Give --model, --clusters or --baselines.")
    segmenters = _segmenters(config)
    images, failures = _read_images(read_pairs(config.data))
    work = _Work(images, on_progress, should_stop, _count(config, len(segmenters)))
    methods = [work.score_model(name, one) for name, one in segmenters]
    if len(images[0].pair.labels) == 2:
        flats = _flat(images, work, config.size) if config.baselines else []
        if config.clusters:
            methods.append(work.score_clusters(config.clusters, config.device))
        if config.baselines:
            methods += work.score_baselines(flats)
    return SegmentationReport(
        config.data.name,
        tuple(image.pair.name for image in images),
        tuple(image.pair.group for image in images),
        tuple(methods),
        tuple(failures),
    )


def _count(config: EvaluateSegmentationConfig, models: int) -> int:
    return models + bool(config.clusters) + 5 * config.baselines


def _segmenters(config: EvaluateSegmentationConfig) -> list[tuple[str, Segmenter]]:
    found: list[tuple[str, Segmenter]] = []
    for name in config.model:
        how = SegmentConfig(name, device=config.device)
        first = load_segmenter(how)
        if not hasattr(first, "response"):
            found.append((first.name, first))
            continue
        for readout in READOUTS:
            one = load_segmenter(replace(how, readout=readout))
            found.append((f"{first.name}, {readout}", one))
    return found


def _read_images(pairs: tuple[Pair, ...]) -> tuple[list[_Image], list[tuple[str, str]]]:
    images, failures = [], []
    for pair in pairs:
        try:
            images.append(_Image(pair, *pair.read()))
        except UserError as error:
            failures.append((pair.name, str(error)))
    if not images:
        raise UserError(f"None of {len(pairs)} images can be scored. {failures[0][1]}")
    if len({image.pair.labels for image in images}) > 1:
        raise UserError("The images have different labels; due are the same classes in all.")
    return images, failures


def _flat(images: list[_Image], work: _Work, size: int) -> list[FlatPicture]:
    """Return the images as filters look at them."""
    found = []
    for image in images:
        work.tell("flattening")
        found.append(flat_picture(image.pixels, size, "green"))
    work.done += 1
    return found


class _Work:
    """Scores methods one after the other, telling how far it is."""

    def __init__(
        self,
        images: list[_Image],
        on_progress: OnProgress,
        should_stop: ShouldStop,
        total: int,
    ) -> None:
        self.images, self.done, self.total = images, 0, total
        self._on_progress, self._should_stop = on_progress, should_stop

    def tell(self, what: str) -> None:
        """Say what is being done, and stop if that is wanted."""
        if self._should_stop():
            raise Cancelled(
                f"Stopped after {self.done} of {self.total} methods; no score is written, since "
                "it would be of a part."
            )
        self._on_progress(Progress(self.done, self.total, what))

    def score_model(self, name: str, segmenter: Segmenter) -> MethodScores:
        """Return the scores of a model."""
        found = []
        for image in self.images:
            self.tell(name)
            found.append(segmenter.segment(image.pixels, should_stop=self._should_stop))
        self.done += 1
        truth = [image.truth for image in self.images]
        return MethodScores(name, "", score_classes(found, truth, self._names(segmenter.classes)))

    def _names(self, known: tuple[str, ...]) -> tuple[str, ...]:
        count = len(self.images[0].pair.labels) - 1
        return known if len(known) == count else tuple(str(n) for n in range(1, count + 1))

    def score_clusters(self, name: str, device: str) -> MethodScores:
        """Return the scores of the best region of a model without shapes."""
        from napari_medssl.backend.pixel_embedding import load_pixel_embedder

        embedder = load_pixel_embedder(name, device)
        owners = []
        for image in self.images:
            self.tell(f"regions of {embedder.info.name}")
            maps = embedder.assign_image(embedder.resize(image.pixels))
            owners.append(enlarged(maps.argmax(axis=2), image.truth.shape))
        self.done += 1
        truth = [image.truth for image in self.images]
        every = [
            [(owner == k).astype(np.uint8) for owner in owners]
            for k in range(embedder.info.clusters)
        ]
        best = max(every, key=lambda found: score_classes(found, truth, ("1",))[0].mean)
        return MethodScores(
            f"{embedder.info.name}, best of {len(every)} regions",
            "the region chosen on these images",
            score_classes(best, truth, self._names(())),
        )

    def score_baselines(self, flats: list[FlatPicture]) -> list[MethodScores]:
        """Return the scores of what needs no training."""
        from napari_medssl.backend import vessel_baselines as simple

        truths = [image.truth for image in self.images]
        small = [_shrunk(t, flat.plane.shape) for t, flat in zip(truths, flats, strict=True)]
        self.tell("k-means")
        masks = [simple.k_means(flat) for flat in flats]
        self.done += 1
        found = [MethodScores("k-means on intensity", "", self._scored(masks, truths))]
        for name, filtered in simple.FILTERS.items():
            responses = []
            for flat in flats:
                self.tell(name)
                responses.append(np.where(flat.inside, filtered(flat), -np.inf).astype(np.float32))
            self.done += 1
            level = simple.best_threshold(responses, small)
            masks = [one > level for one in responses]
            found.append(MethodScores(name, simple.FITTED, self._scored(masks, truths)))
        return found

    def _scored(
        self, masks: list[NDArray[np.bool_]], truths: list[NDArray[np.uint8]]
    ) -> tuple[Any, ...]:
        found = [
            enlarged(mask.astype(np.int64), truth.shape).astype(np.uint8)
            for mask, truth in zip(masks, truths, strict=True)
        ]
        return score_classes(found, truths, self._names(()))


def _shrunk(truth: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.asarray(enlarged(truth.astype(np.int64), size) == 1)
