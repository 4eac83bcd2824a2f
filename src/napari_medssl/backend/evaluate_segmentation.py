"""Score segmentations of images or volumes whose truth is known, beside what needs no training.

How, `backend.segmentation_scores` and `backend.surface_distances` say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.flat_pictures import FlatPicture, flat_picture
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.mask_meaning import MASK_VALUES
from napari_medssl.backend.match_classes import ClassMatch, match_classes
from napari_medssl.backend.region_maps import enlarged
from napari_medssl.backend.scored_units import in_one_unit
from napari_medssl.backend.segment_volume import segment_volume
from napari_medssl.backend.segmentation_cases import ReadCase, plan_cases, read_cases
from napari_medssl.backend.segmentation_data import PairTable
from napari_medssl.backend.segmentation_report import ClassFacts, SegmentationReport
from napari_medssl.backend.segmentation_scores import MethodScores, by_class, score_case
from napari_medssl.backend.segmenters import READOUTS, SegmentConfig, Segmenter, load_segmenter
from napari_medssl.backend.truth_folders import read_truth_folder
from napari_medssl.io.volumes import open_volume

_STEPS = 5  # of the baselines: to flatten, k-means and three filters


@dataclass(frozen=True)
class EvaluateSegmentationConfig:
    """Score segmentations by the Dice coefficient and surface distances."""

    data: Path = option(
        help="Folder with images/ and masks/ of one name each, or pairs.csv that lists them."
    )
    model: tuple[str, ...] = option(
        (), help="Models to score; shape-guided ones in both readouts. May be given again."
    )
    clusters: str = option(
        "", help="Also score the regions of this local-discrimination model, the best of them."
    )
    baselines: bool = option(
        True, help="Also k-means, Frangi, Sato and darkness, where there is one class."
    )
    distances: bool = option(True, help="Also surface distances: ASD and HD95.")
    size: int = option(
        736, help="Field of view that filters look at, longer side.", min=64, unit="px",
        advanced=True,
    )  # fmt: skip
    mask_values: str = option(
        "auto",
        help="Without pairs.csv, what values of masks are: numbers of classes, or all foreground.",
        choices=MASK_VALUES,
    )
    device: str = option("auto", help="Where to run.", choices=("auto", "cpu", "cuda", "mps"))


def evaluate_segmentation(
    config: EvaluateSegmentationConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SegmentationReport:
    """Segment every image by every method, and score each image, or each volume of slices.

    What cannot be read is listed in `failures` and left out.

    Raises
    ------
    UserError
        If there are no images, no methods, or a model that does not segment, or other classes.
    Cancelled
        If it was asked to stop; scores of a part would be of other images.
    """
    check(config)
    if not (config.model or config.baselines or config.clusters):
        raise UserError("Nothing is to be scored. Give --model, --clusters or --baselines.")
    folder = read_truth_folder(
        config.data, config.mask_values, on_progress=on_progress, should_stop=should_stop
    )
    table = folder.table
    plan = plan_cases(table)
    config, remarks = _possible(config, table)
    models = [
        (name, one, match_classes(name, one.classes, table)) for name, one in _segmenters(config)
    ]
    cases, failures = read_cases(table, plan, config.distances, on_progress, should_stop)
    cases, unit, warnings = in_one_unit(cases, config.distances)
    total = len(models) + bool(config.clusters) + _STEPS * config.baselines
    work = _Work(cases, table, config.distances, (on_progress, should_stop), total)
    methods = [work.score_model(*model) for model in models]
    flats = work.flat(config.size) if config.baselines else []
    if config.clusters:
        methods.append(work.score_clusters(config.clusters, config.device))
    if config.baselines:
        methods += work.score_baselines(flats)
    return SegmentationReport(
        config.data.name,
        "volume" if cases[0].case.is_volume else "image",
        unit,
        tuple(one.case.name for one in cases),
        tuple(one.case.group for one in cases),
        _facts(table, cases),
        tuple(methods),
        (*folder.failures, *failures),
        (*folder.remarks, *remarks),
        warnings,
    )


def _possible(
    config: EvaluateSegmentationConfig, table: PairTable
) -> tuple[EvaluateSegmentationConfig, list[str]]:
    """Return the settings without what knows one class only, where there are more."""
    if len(table.classes) == 1 or not (config.baselines or config.clusters):
        return config, []
    told = (
        f"Baselines and regions know one class, and {config.data.name!r} has "
        f"{len(table.classes)} ({', '.join(table.classes)})"
    )
    if not config.model:
        raise UserError(f"{told}. Give --model.")
    return replace(config, baselines=False, clusters=""), [f"{told}: they are left out."]


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


def _facts(table: PairTable, cases: Sequence[ReadCase]) -> tuple[ClassFacts, ...]:
    counts = np.array(
        [
            sum(
                np.bincount(plane.ravel(), minlength=len(table.classes) + 1) for plane in one.planes
            )
            for one in cases
        ]
    )
    shares = counts.sum(axis=0) / counts.sum()
    return tuple(
        ClassFacts(name, float(shares[number]), int((counts[:, number] > 0).sum()))
        for number, name in enumerate(table.classes, start=1)
    )


class _Work:
    """Scores methods one after the other, telling how far it is."""

    def __init__(
        self,
        cases: list[ReadCase],
        table: PairTable,
        distances: bool,
        calls: tuple[OnProgress, ShouldStop],
        total: int,
    ) -> None:
        self.cases, self.done, self.total = cases, 0, total
        self._names, self._distances = table.classes, distances
        self._on_progress, self._should_stop = calls

    def tell(self, what: str) -> None:
        """Say what is being done, and stop if that is wanted."""
        if self._should_stop():
            raise Cancelled(
                f"Stopped after {self.done} of {self.total} methods; no score is written, since "
                "it would be of a part."
            )
        self._on_progress(Progress(self.done, self.total, what))

    def flat(self, size: int) -> list[FlatPicture]:
        """Return all images as filters look at them."""
        found = []
        for pixels in self._pixels():
            self.tell("flattening")
            found.append(flat_picture(pixels, size, "green"))
        self.done += 1
        return found

    def score_model(self, name: str, segmenter: Segmenter, match: ClassMatch) -> MethodScores:
        """Return the scores of a model."""
        planes = map(match.apply, self._segmented(name, segmenter))
        return replace(self._scored(name, "", planes, match.names), matched=match.by)

    def _segmented(self, name: str, segmenter: Segmenter) -> Iterator[NDArray[np.uint8]]:
        """Give what a model finds in all images, case by case."""
        for one in self.cases:
            if one.volume is None:
                for pixels in one.pixels:
                    self.tell(name)
                    yield segmenter.segment(pixels, should_stop=self._should_stop)
                continue
            with open_volume(one.volume) as volume:
                yield from segment_volume(
                    segmenter,
                    volume,
                    on_slice=lambda _, message: self.tell(f"{name}: {message}"),
                    should_stop=self._should_stop,
                )

    def score_clusters(self, name: str, device: str) -> MethodScores:
        """Return the scores of the best region of a model without shapes."""
        from napari_medssl.backend.pixel_embedding import load_pixel_embedder

        embedder = load_pixel_embedder(name, device)
        owners = []
        for pixels in self._pixels():
            self.tell(f"regions of {embedder.info.name}")
            maps = embedder.assign_image(embedder.resize(pixels))
            owners.append(enlarged(maps.argmax(axis=2), pixels.shape[:2]))
        every = [
            [(owner == k).astype(np.uint8) for owner in owners]
            for k in range(embedder.info.clusters)
        ]
        best = max(every, key=self._mean_dice)
        called = f"{embedder.info.name}, best of {len(every)} regions"
        return self._scored(called, "the region chosen on these images", best, self._names)

    def score_baselines(self, flats: list[FlatPicture]) -> list[MethodScores]:
        """Return the scores of what needs no training."""
        from napari_medssl.backend import vessel_baselines as simple

        planes = self._planes()
        small = [_shrunk(one, flat.plane.shape) for one, flat in zip(planes, flats, strict=True)]
        self.tell("k-means")
        found = [self._masked("k-means on intensity", "", [simple.k_means(one) for one in flats])]
        for name, filtered in simple.FILTERS.items():
            responses = []
            for flat in flats:
                self.tell(name)
                responses.append(np.where(flat.inside, filtered(flat), -np.inf).astype(np.float32))
            level = simple.best_threshold(responses, small)
            found.append(self._masked(name, simple.FITTED, [one > level for one in responses]))
        return found

    def _pixels(self) -> Iterator[NDArray[np.uint8]]:
        """Give all images, case by case."""
        for one in self.cases:
            yield from one.pictures()

    def _planes(self) -> list[NDArray[np.uint8]]:
        """Return the truth of all images, case by case."""
        return [plane for one in self.cases for plane in one.planes]

    def _masked(self, name: str, seen: str, masks: list[NDArray[np.bool_]]) -> MethodScores:
        planes = [
            enlarged(mask.astype(np.int64), truth.shape).astype(np.uint8)
            for mask, truth in zip(masks, self._planes(), strict=True)
        ]
        return self._scored(name, seen, planes, self._names)

    def _scored(
        self, name: str, seen: str, planes: Iterable[NDArray[np.uint8]], names: Sequence[str]
    ) -> MethodScores:
        """Return the scores of segmentations of all images, and count the method as done."""
        scores, left = [], iter(planes)
        for one in self.cases:
            found = one.case.stacked([next(left) for _ in one.planes])
            self.tell(f"{name}: scoring")
            spacing = one.case.spacing if self._distances else None
            scores.append(score_case(found, one.truth, len(names), spacing))
        self.done += 1
        return MethodScores(name, seen, by_class(scores, names))

    def _mean_dice(self, planes: list[NDArray[np.uint8]]) -> float:
        left = iter(planes)
        found = [one.case.stacked([next(left) for _ in one.planes]) for one in self.cases]
        pairs = zip(found, self.cases, strict=True)
        scores = [score_case(mask, one.truth, 1) for mask, one in pairs]
        return by_class(scores, ("1",))[0].mean


def _shrunk(truth: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.asarray(enlarged(truth.astype(np.int64), size) == 1)
