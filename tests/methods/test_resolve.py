"""From proposals to panels that neither overlap nor hold one another."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl.methods.simcfs.resolve import Proposals, resolve
from napari_medssl.methods.simcfs.suppress import intersection, pairwise_iou, suppress


def proposals(*rows: tuple[float, float, float, float, float]) -> Proposals:
    array = np.array(sorted(rows, key=lambda row: -row[4]), float)
    return Proposals(array[:, :4], array[:, 4])


def kept(found: Proposals) -> set[tuple[float, ...]]:
    return {tuple(box) for box in found.boxes.tolist()}


def test_the_better_of_two_boxes_on_one_panel_is_kept():
    found = resolve(proposals((0, 0, 10, 10, 0.6), (0, 0, 10, 9, 0.9)), 0.3)
    assert kept(found) == {(0, 0, 10, 9)}


def test_a_block_loses_to_its_better_parts():
    block = (0, 0, 20, 10, 0.5)
    parts = [(0, 0, 10, 10, 0.8), (10, 0, 20, 10, 0.7)]
    assert kept(resolve(proposals(block, *parts), 0.3)) == {(0, 0, 10, 10), (10, 0, 20, 10)}


def test_a_block_that_scores_higher_swallows_its_parts():
    block = (0, 0, 20, 10, 0.9)
    parts = [(0, 0, 10, 10, 0.5), (10, 0, 20, 10, 0.4)]
    assert kept(resolve(proposals(block, *parts), 0.3)) == {(0, 0, 20, 10)}


def test_an_inset_does_not_make_its_panel_disappear():
    found = resolve(proposals((0, 0, 100, 100, 0.6), (70, 0, 100, 30, 0.9)), 0.3)
    assert kept(found) == {(0, 0, 100, 100)}


def test_nothing_below_the_score_is_kept():
    assert len(resolve(proposals((0, 0, 10, 10, 0.2)), 0.3)) == 0


def slow_suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    left = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    keep = []
    while left:
        best = left.pop(0)
        keep.append(best)
        left = [i for i in left if pairwise_iou(boxes[[best]], boxes[[i]])[0, 0] < overlap]
    return keep


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.integers(0, 10_000), st.floats(0.2, 0.9))
def test_suppression_equals_the_slow_version(count, seed, overlap):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 20, (count, 2))
    boxes = np.hstack([corner, corner + rng.integers(1, 20, (count, 2))]).astype(float)
    scores = rng.random(count)
    assert suppress(boxes, scores, overlap=overlap).tolist() == slow_suppress(
        boxes, scores, overlap
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 25), st.integers(0, 10_000))
def test_no_panel_lies_inside_another(count, seed):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 60, (count, 2))
    boxes = np.hstack([corner, corner + rng.integers(2, 40, (count, 2))]).astype(float)
    found = resolve(Proposals(boxes, np.sort(rng.random(count))[::-1]), 0.1)
    area = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
    share = intersection(found.boxes, found.boxes) / area[:, None]
    np.fill_diagonal(share, 0)
    smaller = area[:, None] < area[None]
    assert not ((share > 0.75) & smaller).any()
