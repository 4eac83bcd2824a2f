"""Score figure separation on a folder of figures with true boxes, whole and in parts."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.splitters import Split, make_splitter
from napari_medssl.backend.true_figures import TrueFigure, read_true_figures
from napari_medssl.io.boxes import Box
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.methods.simcfs.metrics import (
    ScoredFigure,
    average_precision,
    count_matches,
    count_split_singles,
    imageclef_accuracy,
    mean_average_precision,
    mean_figure_f1,
)

LOWEST_SCORE = 0.01


@dataclass(frozen=True)
class EvaluateFiguresConfig:
    """Score figure separation on figures with true boxes."""

    data: Path = option(help="Folder with images/ and COCO annotations.json.")
    model: str = option(
        "simcfs-figures", help="Registered name, weights file, or 'gutters' for the baseline."
    )
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


@dataclass(frozen=True)
class GroupScores:
    """Scores of one group of figures; AP is None where the group has no true box."""

    kind: str
    name: str
    figures: int
    boxes: int
    precision_50: float
    recall_50: float
    f1_50: float
    precision_75: float
    recall_75: float
    f1_75: float
    ap_50: float | None
    ap_50_95: float | None
    imageclef_accuracy: float | None
    mean_figure_f1_50: float
    split_singles: int


@dataclass(frozen=True)
class FigureScore:
    """Scores of one figure and the seconds its separation took."""

    file_name: str
    true_boxes: int
    predicted_boxes: int
    f1_50: float
    f1_75: float
    imageclef: float | None
    seconds: float


@dataclass(frozen=True)
class FiguresReport:
    """All that `medssl evaluate figures` prints and writes."""

    data: str
    model: str
    seconds_median: float
    seconds_p95: float
    groups: tuple[GroupScores, ...]
    figures: tuple[FigureScore, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def evaluate_figures(
    config: EvaluateFiguresConfig,
    *,
    split: Split | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> FiguresReport:
    """Separate every figure of `config.data` and score the boxes.

    F1 is scored on the boxes that `separate` writes by default, AP on all above score 0.01. A
    figure that cannot be read is listed in `failures` and left out. `split` replaces the splitter
    that `config.model` names.
    """
    figures = read_true_figures(config.data)
    if not figures:
        raise UserError(f"{str(config.data)!r} has no annotated figure.")
    split = split or make_splitter(config.model, config.device)
    kept: list[_Separated] = []
    failures: list[tuple[str, str]] = []
    for done, figure in enumerate(figures):
        if should_stop():
            raise Cancelled(
                f"Stopped after {done} of {len(figures)} figures; no score is written, since it "
                "needs all of them. Run the same command again."
            )
        on_progress(Progress(done, len(figures), figure.path.name))
        try:
            image = read_image(ImageRef(figure.path))
        except UserError as error:
            failures.append((figure.path.name, str(error)))
            continue
        if not kept:
            split(image.copy(), None)  # the first run of a network is slow and tells nothing
        kept.append(_separate(figure, image, split))
    on_progress(Progress(len(figures), len(figures), "scored"))
    if not kept:
        raise UserError(f"No figure of {str(config.data)!r} could be read: {failures[0][1]}")
    return _report(config, kept, failures)


@dataclass(frozen=True)
class _Separated:
    """A figure with the boxes of the default score, those above 0.01, and the seconds taken."""

    figure: TrueFigure
    default: ScoredFigure
    ranked: ScoredFigure
    seconds: float


def _separate(figure: TrueFigure, image: np.ndarray, split: Split) -> _Separated:
    start = time.perf_counter()
    default = split(image, None)
    seconds = time.perf_counter() - start
    ranked = split(image, LOWEST_SCORE)
    return _Separated(figure, _scored(figure, default), _scored(figure, ranked), seconds)


def _scored(figure: TrueFigure, boxes: Sequence[Box]) -> ScoredFigure:
    return ScoredFigure(
        figure.truth,
        np.array([(b.x0, b.y0, b.x1, b.y1) for b in boxes], dtype=float).reshape(-1, 4),
        np.array([1.0 if b.score is None else b.score for b in boxes]),
    )


def _report(
    config: EvaluateFiguresConfig, kept: list[_Separated], failures: list[tuple[str, str]]
) -> FiguresReport:
    members: dict[tuple[str, str], list[_Separated]] = {}
    for one in kept:
        for group in one.figure.groups:
            members.setdefault(group, []).append(one)
    order = ["all", "kind", "source", "granularity", "box_origin"]
    groups = sorted(members, key=lambda group: (order.index(group[0]), group[1]))
    seconds = [one.seconds for one in kept]
    return FiguresReport(
        data=str(config.data),
        model=config.model,
        seconds_median=float(np.median(seconds)),
        seconds_p95=float(np.percentile(seconds, 95)),
        groups=tuple(score_group(*group, members[group]) for group in groups),
        figures=tuple(_score_figure(one) for one in kept),
        failures=tuple(failures),
    )


def score_group(kind: str, name: str, members: Sequence[_Separated]) -> GroupScores:
    """Return the scores of one group of separated figures."""
    default = [one.default for one in members]
    ranked = [one.ranked for one in members]
    at_50, at_75 = count_matches(default, 0.5), count_matches(default, 0.75)
    return GroupScores(
        kind=kind,
        name=name,
        figures=len(members),
        boxes=sum(len(one.truth) for one in default),
        precision_50=at_50.precision,
        recall_50=at_50.recall,
        f1_50=at_50.f1,
        precision_75=at_75.precision,
        recall_75=at_75.recall,
        f1_75=at_75.f1,
        ap_50=_known(average_precision(ranked, 0.5)),
        ap_50_95=_known(mean_average_precision(ranked)),
        imageclef_accuracy=_known(imageclef_accuracy(default)),
        mean_figure_f1_50=mean_figure_f1(default),
        split_singles=count_split_singles(default),
    )


def _score_figure(one: _Separated) -> FigureScore:
    return FigureScore(
        file_name=one.figure.path.name,
        true_boxes=len(one.default.truth),
        predicted_boxes=len(one.default.predicted),
        f1_50=count_matches([one.default], 0.5).f1,
        f1_75=count_matches([one.default], 0.75).f1,
        imageclef=_known(imageclef_accuracy([one.default])),
        seconds=one.seconds,
    )


def _known(value: float) -> float | None:
    """Return None for nan, which JSON does not have."""
    return None if math.isnan(value) else value
