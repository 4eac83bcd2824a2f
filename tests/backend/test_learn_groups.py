"""Learn groups from a few rows, beside a slow label spreading written from the equation."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend import learn_groups as backend
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.learn_groups import (
    UNKNOWN,
    LearnRequest,
    learn_groups,
    learn_map,
    spread_labels,
)
from napari_medssl.backend.map_layout import LayoutConfig, neighbours_of
from napari_medssl.index.neighbour_graph import NeighbourGraph


def bundles(count=60, groups=3, dim=8, noise=0.05):
    rng = np.random.default_rng(0)
    rows = np.eye(dim)[np.arange(count) % groups] + rng.normal(0, noise, (count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slow_spread(graph, labels, count):
    """F = a S F + (1 - a) Y, one number at a time."""
    size = len(labels)
    weight = np.zeros((size, size))
    for row in range(size):
        for place, other in enumerate(graph.rows[row]):
            value = np.exp(-float(graph.distances[row, place]) / 0.1)
            weight[row, other] = max(weight[row, other], value)
            weight[other, row] = max(weight[other, row], value)
    degree = weight.sum(axis=1)
    start = np.zeros((size, count))
    for row, label in enumerate(labels):
        if label != UNKNOWN:
            start[row, label] = 1 / (labels == label).sum()
    found = start.copy()
    for _ in range(60):
        new = np.zeros_like(found)
        for row in range(size):
            for other in range(size):
                share = weight[row, other] / np.sqrt(degree[row] * degree[other])
                new[row] += 0.9 * share * found[other]
            new[row] += 0.1 * start[row]
        found = new
    return found / found.sum(axis=1, keepdims=True)


def labels_of(count=60, groups=3, each=2):
    labels = np.full(count, UNKNOWN)
    labels[: each * groups] = np.arange(each * groups) % groups
    return labels


def test_label_spreading_is_that_of_the_equation():
    rows = bundles(24, noise=0.4)
    graph, labels = neighbours_of(rows, 5), labels_of(24)
    np.testing.assert_allclose(
        spread_labels(graph, labels, 3), slow_spread(graph, labels, 3), rtol=1e-6, atol=1e-12
    )


def test_rows_that_no_label_reaches_have_equal_shares():
    near = np.array([[1], [0], [3], [2]], np.int32)
    graph = NeighbourGraph(near, np.full((4, 1), 0.1, np.float32))
    shares = spread_labels(graph, np.array([0, 1, UNKNOWN, UNKNOWN]), 2)
    np.testing.assert_allclose(shares[2:], 0.5)


def test_two_examples_of_each_bundle_tell_all_others():
    rows = bundles()
    learned = learn_groups(rows, neighbours_of(rows, 5), labels_of())
    assert learned.group.tolist() == [row % 3 for row in range(60)]
    assert (learned.sureness[:6] == 1).all()
    assert (learned.sureness[6:] < 1).all()
    assert learned.sureness.min() > 0.6
    assert learned.embeddings.shape == (60, 11)
    np.testing.assert_allclose(np.linalg.norm(learned.embeddings, axis=1), 1, rtol=1e-5)


def test_many_rows_are_told_block_by_block(monkeypatch):
    rows = bundles()
    graph = neighbours_of(rows, 5)
    whole = learn_groups(rows, graph, labels_of())
    monkeypatch.setattr(backend, "_BLOCK_ROWS", 7)
    parts = learn_groups(rows, graph, labels_of())
    assert (parts.group == whole.group).all()
    np.testing.assert_allclose(parts.embeddings, whole.embeddings, rtol=1e-5, atol=1e-6)
    assert parts.embeddings.dtype == np.float32


def test_numbers_of_groups_need_not_follow_each_other():
    rows = bundles()
    labels = np.where(labels_of() == UNKNOWN, UNKNOWN, labels_of() * 5 + 2)
    learned = learn_groups(rows, neighbours_of(rows, 5), labels)
    assert learned.group.tolist() == [row % 3 * 5 + 2 for row in range(60)]


def test_too_few_groups_and_nothing_left_to_learn_are_refused():
    rows = bundles()
    graph = neighbours_of(rows, 5)
    with pytest.raises(UserError, match="1 group came to learn from"):
        learn_groups(rows, graph, np.where(labels_of() == 0, 0, UNKNOWN))
    with pytest.raises(UserError, match="nothing left to suggest"):
        learn_groups(rows, graph, np.arange(60) % 3)
    with pytest.raises(Cancelled):
        learn_groups(rows, graph, labels_of(), should_stop=lambda: True)


def test_the_map_is_laid_out_anew_and_groups_come_closer(tmp_path):
    rows = bundles(noise=0.5)
    graph = neighbours_of(rows, 15)
    steps = {}
    request = LearnRequest(
        rows, graph, labels_of(each=5), LayoutConfig(neighbours=8, epochs=100), tmp_path
    )
    learned = learn_map(request, on_step=lambda name, value: steps.update({name: value}))
    assert set(steps) == {"learned", "places", "trust"}
    places = steps["places"]
    assert places.shape == (60, 2)
    middles = np.array([places[learned.group == group].mean(axis=0) for group in range(3)])
    own = np.hypot(*(places - middles[learned.group]).T).mean()
    assert own < np.hypot(*(middles[0] - middles[1:]).T).min()
