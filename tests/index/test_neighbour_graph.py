"""The nearest rows of every row, beside a comparison of all."""

import numpy as np
import pytest

from napari_medssl.index import neighbour_graph
from napari_medssl.index.neighbour_graph import nearest_among, nearest_rows


def unit(rng, count, dim=16):
    values = rng.normal(size=(count, dim))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_the_graph_is_that_of_all_comparisons():
    values = unit(np.random.default_rng(0), 300)
    graph = nearest_rows(values, 7)
    apart = 1 - values.astype(np.float64) @ values.T
    np.fill_diagonal(apart, np.inf)
    due = np.sort(apart, axis=1)[:, :7]
    assert graph.rows.dtype == np.int32
    assert graph.recall == 1
    assert np.allclose(graph.distances, due, atol=1e-5)
    assert np.allclose(np.take_along_axis(apart, graph.rows, 1), due, atol=1e-5)


def test_lists_find_what_is_promised(monkeypatch):
    monkeypatch.setattr(neighbour_graph, "_EXACT_ROWS", 1000)
    rng = np.random.default_rng(1)
    centres = unit(rng, 40)
    values = centres[rng.integers(0, 40, 3000)] + 0.05 * rng.normal(size=(3000, 16))
    values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    graph = nearest_rows(values, 10)
    apart = 1 - values @ values.T
    np.fill_diagonal(apart, np.inf)
    last = np.sort(apart, axis=1)[:, 9:10]
    found = np.take_along_axis(apart, graph.rows, 1) <= last + 1e-5
    assert graph.recall >= neighbour_graph.RECALL
    assert found.mean() > 0.95
    assert (np.diff(graph.distances, axis=1) >= 0).all()


def true_part(values, graph):
    """Return which part of the neighbours of a graph are as near as the true ones."""
    apart = 1 - values @ values.T
    np.fill_diagonal(apart, np.inf)
    k = graph.rows.shape[1]
    last = np.sort(apart, axis=1)[:, k - 1 : k]
    return (np.take_along_axis(apart, graph.rows, 1) <= last + 1e-5).mean()


def test_of_rows_in_no_clusters_all_are_compared(monkeypatch):
    monkeypatch.setattr(neighbour_graph, "_EXACT_ROWS", 1000)
    values = unit(np.random.default_rng(6), 3000, 64)
    graph = nearest_rows(values, 10)
    assert graph.recall == 1
    assert true_part(values, graph) > 0.9999


def test_of_too_many_rows_in_no_clusters_the_recall_is_told_as_it_is(monkeypatch):
    monkeypatch.setattr(neighbour_graph, "_EXACT_ROWS", 1000)
    monkeypatch.setattr(neighbour_graph, "_MOST_PRODUCTS", 0)
    monkeypatch.setattr(neighbour_graph, "_MOST_COMPARED", 400)
    monkeypatch.setattr(neighbour_graph, "_MEASURED", 1500)
    values = unit(np.random.default_rng(6), 3000, 64)
    graph = nearest_rows(values, 10)
    assert graph.recall < neighbour_graph.RECALL
    assert graph.recall == pytest.approx(true_part(values, graph), abs=0.02)
    among = nearest_among(values[:50], values, 10)
    assert among is not None
    assert among.recall < neighbour_graph.RECALL
    assert (among.rows[:, 0] == np.arange(50)).all()


@pytest.mark.parametrize("count", [2, 5, 40])
def test_no_row_is_its_own_neighbour_even_among_rows_that_are_alike(count):
    values = np.tile(unit(np.random.default_rng(2), 1), (count, 1))
    graph = nearest_rows(values, 15)
    assert graph.rows.shape == (count, min(15, count - 1))
    assert (graph.rows != np.arange(count)[:, None]).all()
    assert (graph.distances < 1e-6).all()
    assert all(len(set(line)) == len(line) for line in graph.rows.tolist())


def test_one_row_has_no_neighbours():
    assert nearest_rows(unit(np.random.default_rng(3), 1), 15).rows.shape == (1, 0)


def test_the_search_can_be_stopped_and_tells_how_far_it_is():
    values = unit(np.random.default_rng(4), 50)
    told = []
    nearest_rows(values, 3, on_step=lambda done, total, what: told.append((done, total)))
    assert told[-1] == (50, 50)
    assert nearest_rows(values, 3, should_stop=lambda: True) is None


def test_rows_of_another_table_are_found():
    values = unit(np.random.default_rng(5), 80)
    told = []
    found = nearest_among(
        values[:4], values, 3, on_step=lambda done, total, what: told.append((done, total))
    )
    assert found is not None
    assert told == [(4, 4)]
    assert nearest_among(values[:4], values, 3, should_stop=lambda: True) is None
    assert (found.rows[:, 0] == np.arange(4)).all()
    assert found.distances[:, 0].max() < 1e-6
