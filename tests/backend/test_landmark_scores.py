"""Radial errors, shares within radii, medians over templates; baselines on planted images."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_medssl.backend.landmark_baselines import (
    raw_pixels,
    registration,
    same_place,
    to_grey,
)
from napari_medssl.backend.landmark_scores import (
    LandmarksReport,
    MethodScores,
    Outcome,
    median_scores,
    report_heads,
    report_rows,
    score_outcomes,
)


def test_scores_agree_with_a_count_by_hand():
    errors = [2.0, 8.0, 12.0, math.nan, 30.0]
    scores = score_outcomes(Outcome("a", error, 200) for error in errors)
    assert (scores.count, scores.missed) == (5, 1)
    assert scores.mre_px == pytest.approx(13.0)
    assert scores.mre_percent == pytest.approx(6.5)
    # 1, 4, 6 and 15 % of the width; the miss is within no radius
    assert scores.sdr == pytest.approx({"3 %": 0.2, "5 %": 0.4, "10 %": 0.6})
    assert scores.mre_mm is None


def test_millimetres_are_told_over_images_of_known_scale():
    known = [Outcome("a", 10.0, 200, 0.1), Outcome("a", 24.0, 200, 0.1)]
    scores = score_outcomes(known)
    assert scores.mre_mm == pytest.approx(1.7)
    assert (scores.sdr["2 mm"], scores.sdr["2.5 mm"]) == (0.5, 1.0)
    some = score_outcomes([*known, Outcome("a", 1.0, 200)])  # over those of known scale
    assert (some.mre_mm, some.sdr["2 mm"]) == (scores.mre_mm, scores.sdr["2 mm"])
    assert score_outcomes([Outcome("a", 1.0, 200)]).mre_mm is None


def test_a_radius_holds_its_border():
    assert score_outcomes([Outcome("a", 5.0, 100)]).sdr["5 %"] == 1.0


def test_medians_leave_out_templates_without_the_landmark():
    each = [score_outcomes([Outcome("a", error, 100)]) for error in (1.0, 4.0, 20.0)]
    found = median_scores([*each, score_outcomes(())])
    assert found.mre_px == 4.0
    assert found.sdr["3 %"] == 0.0
    assert median_scores([]).mre_px is None


def test_a_report_has_every_landmark_in_its_table():
    overall = score_outcomes([Outcome("a", 3.0, 100), Outcome("b", math.nan, 100)])
    labels = {name: score_outcomes([Outcome(name, 3.0, 100)]) for name in "ab"}
    report = LandmarksReport("d", 2, ("t",), (MethodScores("m", overall, labels, {"t": overall}),))
    lines = report.to_markdown().splitlines()
    assert lines[0].startswith("| method | landmark | n | missed |")
    assert [line.split(" | ")[1] for line in lines[2:]] == ["all", "a", "b"]
    assert lines[2] == "| m | all | 2 | 1 | 3.0 | 3.00 | 0.500 | 0.500 | 0.500 |"
    assert json.loads(report.to_json())["methods"][0]["overall"]["missed"] == 1


@pytest.fixture(scope="module")
def moved():
    """A picture of blobs, and the same 6 pixels to the right and 4 up."""
    rng = np.random.default_rng(0)
    large = gaussian_filter(rng.normal(size=(180, 180)), 5)
    large = (large - large.min()) / np.ptp(large)
    pixels = np.rint(large * 255).astype(np.uint8)
    return to_grey(pixels[10:170, 10:170]), to_grey(pixels[14:174, 4:164])


def test_the_same_place_is_the_same_part_of_the_image():
    small, large = np.zeros((50, 40), np.float32), np.zeros((100, 80), np.float32)
    assert same_place(small, {"a": (9.5, 19.5)}, large) == {"a": (19.5, 39.5)}


@pytest.mark.parametrize("find", [raw_pixels, registration])
def test_a_shift_is_found(moved, find):
    (place,) = find(moved[0], {"a": (80.0, 90.0)}, moved[1]).values()
    assert math.dist(place, (86.0, 86.0)) < 1.5


def test_raw_pixels_are_searched_up_to_the_border(moved):
    (place,) = raw_pixels(moved[0], {"a": (1.0, 1.0)}, moved[0]).values()
    assert math.dist(place, (1.0, 1.0)) < 1.0


def test_a_landmark_in_images_without_a_scale_keeps_its_columns():
    """One of two landmarks is only in images of which no scale is known."""
    known, other = Outcome("a", 10.0, 200, 0.1), Outcome("b", 4.0, 100)
    each = {o.label: median_scores([score_outcomes([o])]) for o in (known, other)}
    overall = median_scores([score_outcomes([known, other]), score_outcomes([other])])
    assert (overall.mre_mm, overall.sdr["2 mm"]) == (1.0, 1.0)
    report = LandmarksReport("data", 2, ("t",), (MethodScores("m", overall, each, {}),), (), 1)
    heads, *rows = [report_heads(report), *report_rows(report)]
    assert [len(row) for row in rows] == [len(heads)] * 3
    assert rows[2][heads.index("SDR 2 mm")] == "-"
