"""Metrics against slow oracles written from the definitions."""

import json

import numpy as np
import pytest

from napari_medssl.methods.simcfs.metrics import (
    ScoredFigure,
    average_precision,
    count_matches,
    count_split_singles,
    imageclef_accuracy,
    imageclef_score,
    intersection_over_union,
    match_boxes,
    mean_average_precision,
    mean_figure_f1,
)

NONE = np.zeros((0, 4))
THRESHOLDS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


def random_boxes(rng, count, size=40):
    low = rng.integers(0, size - 8, (count, 2))
    return np.hstack([low, low + rng.integers(2, 20, (count, 2))]).astype(float)


def random_figure(rng):
    truth = random_boxes(rng, rng.integers(0, 7))
    near = truth + rng.integers(-2, 3, truth.shape)
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    predicted = np.vstack(
        [near[rng.random(len(near)) < 0.8], random_boxes(rng, rng.integers(0, 4))]
    )
    scores = np.round(rng.random(len(predicted)), 1)  # with ties
    return ScoredFigure(truth, predicted, scores)


def pixel_iou(a, b):
    """Count the pixels of whole-number boxes one by one."""
    first = {(x, y) for x in range(int(a[0]), int(a[2])) for y in range(int(a[1]), int(a[3]))}
    second = {(x, y) for x in range(int(b[0]), int(b[2])) for y in range(int(b[1]), int(b[3]))}
    return len(first & second) / len(first | second) if first | second else 0.0


def oracle_matches(figure, threshold):
    """COCO's loop: by falling score, the best free true box at or above the threshold."""
    order = sorted(range(len(figure.predicted)), key=lambda i: -figure.scores[i])
    taken, result = set(), [-1] * len(figure.predicted)
    for i in order:
        best, found = min(threshold, 1 - 1e-10), -1
        for g in range(len(figure.truth)):
            overlap = pixel_iou(figure.predicted[i], figure.truth[g])
            if g not in taken and overlap >= best:
                best, found = overlap, g
        if found >= 0:
            taken.add(found)
            result[i] = found
    return result


def oracle_ap(figures, threshold):
    """At each of 101 recalls the best precision of any cut that reaches it."""
    rows, due = [], 0
    for number, figure in enumerate(figures):
        due += len(figure.truth)
        matches = oracle_matches(figure, threshold)
        rows += [
            (-s, number, i, m >= 0)
            for i, (s, m) in enumerate(zip(figure.scores, matches, strict=True))
        ]
    rows.sort(key=lambda row: row[:3])
    cuts, right = [], 0
    for taken, row in enumerate(rows, start=1):
        right += row[3]
        cuts.append((right / due, right / taken))
    points = np.linspace(0.0, 1.0, 101)  # the reference tool's floats, rounding and all
    return sum(max([p for r, p in cuts if r >= point], default=0) for point in points) / 101


def oracle_imageclef(truth, predicted):
    """The organisers' order: true boxes choose, no second choice."""
    used, pairs = [False] * len(predicted), 0
    for t in truth:
        best, chosen = -1.0, -1
        for k, p in enumerate(predicted):
            width = min(t[2], p[2]) - max(t[0], p[0])
            height = min(t[3], p[3]) - max(t[1], p[1])
            if width <= 0 or height <= 0:
                continue
            overlap = (width * height) / ((p[2] - p[0]) * (p[3] - p[1]))
            if overlap * 3 >= 2 - 1e-9 and overlap > best:
                best, chosen = overlap, k
        if chosen >= 0 and not used[chosen]:
            used[chosen], pairs = True, pairs + 1
    return pairs / max(len(truth), len(predicted))


def test_iou_counts_pixels():
    """The closed form equals counting pixels."""
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, 12), random_boxes(rng, 9)
    expected = [[pixel_iou(p, q) for q in b] for p in a]
    np.testing.assert_allclose(intersection_over_union(a, b), expected)


@pytest.mark.parametrize("seed", range(20))
def test_matches_follow_coco(seed):
    """Greedy matching agrees with the loop of the definition at every threshold."""
    figure = random_figure(np.random.default_rng(seed))
    for threshold in THRESHOLDS:
        assert match_boxes(figure, threshold).tolist() == oracle_matches(figure, threshold)


@pytest.mark.parametrize("seed", range(10))
def test_average_precision_follows_coco(seed):
    """AP50, AP75 and AP50:95 agree with the slow oracle over sets with tied scores."""
    rng = np.random.default_rng(seed)
    figures = [random_figure(rng) for _ in range(6)]
    each = [oracle_ap(figures, threshold) for threshold in THRESHOLDS]
    assert average_precision(figures, 0.5) == pytest.approx(each[0])
    assert average_precision(figures, 0.75) == pytest.approx(each[5])
    assert mean_average_precision(figures) == pytest.approx(np.mean(each))


def test_average_precision_by_hand():
    """Right, wrong, right of two boxes: precision 1 up to recall .5, then 2/3."""
    truth = [[0, 0, 10, 10], [20, 0, 30, 10]]
    predicted = [[0, 0, 10, 10], [50, 50, 60, 60], [20, 0, 30, 10]]
    figure = ScoredFigure(truth, predicted, [0.9, 0.8, 0.7])
    assert average_precision([figure]) == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


@pytest.mark.parametrize("seed", range(30))
def test_imageclef_follows_the_organisers(seed):
    """The score agrees with the loop of the organisers' tool."""
    figure = random_figure(np.random.default_rng(seed))
    if len(figure.truth) and len(figure.predicted):
        expected = oracle_imageclef(figure.truth, figure.predicted)
        assert imageclef_score(figure.truth, figure.predicted) == pytest.approx(expected)


def test_imageclef_rewards_tiny_boxes():
    """The loophole: one pixel inside each panel scores 1, while F1 is 0."""
    truth = np.array([[0, 0, 50, 50], [50, 0, 100, 50]])
    tiny = np.array([[5, 5, 6, 6], [60, 5, 61, 6]])
    assert imageclef_score(truth, tiny) == 1
    assert count_matches([ScoredFigure(truth, tiny)]).f1 == 0


def test_imageclef_gives_no_second_choice():
    """Two panels whose best candidate is the same box: only one pair, the other box is wasted."""
    truth = np.array([[0, 0, 12, 10], [0, 0, 10, 10]])
    predicted = np.array([[1, 1, 4, 4], [0, 0, 13, 10]])
    assert imageclef_score(truth, predicted) == 0.5


def test_imageclef_takes_exactly_two_thirds():
    """Overlap of exactly 2/3 counts."""
    assert imageclef_score(np.array([[0, 0, 20, 10]]), np.array([[0, 0, 30, 10]])) == 1


def test_imageclef_counts_missing_figures_as_zero():
    """A figure without predictions scores 0; a figure without truth is left out."""
    box = np.array([[0, 0, 9, 9]])
    figures = [ScoredFigure(box, box), ScoredFigure(box, NONE), ScoredFigure(NONE, box)]
    assert imageclef_accuracy(figures) == 0.5


def test_counts_of_nothing():
    """No truth and no prediction is right; either alone is wrong."""
    box = np.array([[0, 0, 9, 9]])
    nothing = count_matches([ScoredFigure(NONE, NONE)])
    assert (nothing.precision, nothing.recall, nothing.f1) == (1, 1, 1)
    missed = count_matches([ScoredFigure(box, NONE)])
    assert (missed.precision, missed.recall, missed.f1) == (0, 0, 0)
    surplus = count_matches([ScoredFigure(NONE, box)])
    assert (surplus.precision, surplus.recall, surplus.f1) == (0, 0, 0)


def test_average_precision_of_nothing():
    """Without true boxes AP is undefined; without predictions it is 0."""
    box = np.array([[0, 0, 9, 9]])
    assert np.isnan(average_precision([ScoredFigure(NONE, box)]))
    assert np.isnan(mean_average_precision([]))
    assert average_precision([ScoredFigure(box, NONE)]) == 0


def test_one_dense_figure_does_not_carry_the_mean():
    """The mean over figures weighs a figure of 100 panels like one of 1."""
    x = np.arange(100.0)[:, None] * 10
    dense = np.hstack([x, x * 0, x + 9, x * 0 + 9])
    box = np.array([[0, 0, 9, 9]])
    figures = [ScoredFigure(dense, dense), ScoredFigure(box, box + 100)]
    assert mean_figure_f1(figures) == 0.5
    assert count_matches(figures).f1 > 0.98


def test_split_singles_are_counted():
    """Only a figure of one panel that got two boxes or more is falsely split."""
    box = np.array([[0, 0, 9, 9]])
    two = np.vstack([box, box + 20])
    figures = [ScoredFigure(box, two), ScoredFigure(box, box), ScoredFigure(box, NONE)]
    assert count_split_singles([*figures, ScoredFigure(two, two)]) == 1


def test_wrong_shapes_are_refused():
    """The text names the shape that came and the one due."""
    with pytest.raises(ValueError, match=r"shape \(3,\), due is \(N, 4\)"):
        ScoredFigure([1, 2, 3], NONE)
    with pytest.raises(ValueError, match="give one score per box"):
        ScoredFigure(NONE, [[0, 0, 1, 1]], [0.5, 0.4])


def test_values_are_plain_numbers():
    """Results can be written as JSON."""
    figures = [random_figure(np.random.default_rng(3))]
    values = [average_precision(figures), count_matches(figures).f1, imageclef_accuracy(figures)]
    assert len(json.loads(json.dumps(values))) == 3
