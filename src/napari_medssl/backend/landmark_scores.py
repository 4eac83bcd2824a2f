"""Score found landmarks against true ones: radial errors and the share within radii.

MRE, the mean radial error, is over landmarks that were given a place; SDR, the successful detection
rate, is over all: one that was said not to be in the image is a miss.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

RADII_PERCENT = (3.0, 5.0, 10.0)
"""Radii of SDR in percent of the width of an image."""

RADII_MM = (2.0, 2.5, 3.0, 4.0)
"""Radii of SDR in mm, those of the ISBI 2015 challenge of cephalograms."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one landmark in one image.

    Attributes
    ----------
    label
        Of the landmark.
    error
        Distance from the true place in pixels, NaN if no place was given.
    width
        Of the image, in pixels.
    mm_per_px
        Of the image, None where that is not known.
    """

    label: str
    error: float
    width: int
    mm_per_px: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of some landmarks; None where there is nothing to score.

    Attributes
    ----------
    count, missed
        Landmarks that are in their images, and those of them that were given no place.
    mre_px, mre_percent, mre_mm
        Mean radial error: in pixels, in percent of the width, in mm over images of known scale.
    sdr
        Share within each of `RADII_PERCENT`, by names such as "5 %"; of the landmarks in images of
        known scale, if there are any, also within each of `RADII_MM`, such as "2.5 mm".
    """

    count: int
    missed: int
    mre_px: float | None
    mre_percent: float | None
    mre_mm: float | None = None
    sdr: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MethodScores:
    """Scores of one way to find landmarks, over several templates.

    Attributes
    ----------
    name
        Of the method.
    overall
        Medians over templates, each a mean over all its landmarks in all other images.
    each_label
        The same of each landmark.
    each_template
        Overall scores of each template, by the name of its image.
    absent_told
        Of landmarks that are not in an image, the share that was said so; None without any.
    seconds
        Median time of an image, with all its landmarks.
    """

    name: str
    overall: Scores
    each_label: Mapping[str, Scores]
    each_template: Mapping[str, Scores]
    absent_told: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LandmarksReport:
    """All that `medssl evaluate landmarks` prints and writes.

    Of its `images`, `scaled` have a known scale.
    """

    data: str
    images: int
    templates: tuple[str, ...]
    methods: tuple[MethodScores, ...]
    failures: tuple[tuple[str, str], ...] = ()
    scaled: int = 0

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """Return the tables as Markdown text."""
        heads = report_heads(self)
        lines = [f"| {' | '.join(heads)} |", f"|{'---|' * 2}{'---:|' * (len(heads) - 2)}"]
        lines += [f"| {' | '.join(row)} |" for row in report_rows(self)]
        return "\n".join(lines) + "\n"


def score_outcomes(outcomes: Iterable[Outcome]) -> Scores:
    """Return the scores of some outcomes."""
    known = list(outcomes)
    if not known:
        return Scores(0, 0, None, None, None, {f"{radius:g} %": None for radius in RADII_PERCENT})
    errors = np.array([outcome.error for outcome in known])
    percent = 100 * errors / np.array([outcome.width for outcome in known])
    sides = np.array([outcome.mm_per_px or math.nan for outcome in known])
    # A NaN is within no radius: what was given no place is a miss.
    sdr = {f"{radius:g} %": _number((percent <= radius).mean()) for radius in RADII_PERCENT}
    has_scale = ~np.isnan(sides)
    in_mm = (errors * sides)[has_scale]
    if has_scale.any():
        sdr |= {f"{r:g} mm": _number((in_mm <= r).mean()) for r in RADII_MM}
    missed = int(np.isnan(errors).sum())
    return Scores(
        count=len(known),
        missed=missed,
        mre_px=_mean(errors),
        mre_percent=_mean(percent),
        mre_mm=_mean(in_mm),
        sdr=sdr,
    )


def median_scores(scores: Sequence[Scores]) -> Scores:
    """Return the median of each score over several templates; counts are medians, too."""
    told = [one for one in scores if one.count]
    if not told:
        return score_outcomes(())
    radii = dict.fromkeys(radius for one in told for radius in one.sdr)
    return Scores(
        count=int(np.median([one.count for one in told])),
        missed=int(np.median([one.missed for one in told])),
        mre_px=_median(one.mre_px for one in told),
        mre_percent=_median(one.mre_percent for one in told),
        mre_mm=_median(one.mre_mm for one in told),
        sdr={radius: _median(one.sdr.get(radius) for one in told) for radius in radii},
    )


def report_heads(report: LandmarksReport) -> list[str]:
    """Return the heads of the table of a report."""
    radii = [f"SDR {radius}" for radius in report.methods[0].overall.sdr]
    mm = ["MRE mm"] if report.methods[0].overall.mre_mm is not None else []
    return ["method", "landmark", "n", "missed", "MRE px", "MRE %", *mm, *radii]


def report_rows(report: LandmarksReport) -> list[list[str]]:
    """Return the rows of the table of a report: each method overall, then each landmark."""
    of_all = report.methods[0].overall
    rows = []
    for method in report.methods:
        rows.append(_row(method.name, "all", method.overall, of_all))
        if len(method.each_label) > 1:
            rows += [_row("", label, own, of_all) for label, own in method.each_label.items()]
    return rows


def _row(name: str, label: str, scores: Scores, of_all: Scores) -> list[str]:
    """Return a row with the columns that `of_all` has."""
    mm = [_text(scores.mre_mm, 2)] if of_all.mre_mm is not None else []
    sdr = [_text(scores.sdr.get(radius), 3) for radius in of_all.sdr]
    px, percent = _text(scores.mre_px, 1), _text(scores.mre_percent, 2)
    return [name, label, str(scores.count), str(scores.missed), px, percent, *mm, *sdr]


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _mean(values: np.ndarray) -> float | None:
    told = values[~np.isnan(values)]
    return _number(told.mean()) if len(told) else None


def _median(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return _number(np.median(told)) if told else None


def _number(value: float | np.floating) -> float:
    return round(float(value), 6)
