"""Trust of a map, beside loops written from the equations and scikit-learn's measure."""

import numpy as np
import pytest

from napari_medssl.backend import map_trust
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.map_trust import near_on_map, trust_of
from napari_medssl.index.neighbour_graph import nearest_rows


def made(count=90, seed=0):
    """Return unit vectors, their graph, and a poor map of them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 6)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    places = values[:, :2] + 0.1 * rng.normal(size=(count, 2)).astype(np.float32)
    return values, nearest_rows(values, 15), places.astype(np.float32)


def ranked(apart):
    """Return who is 1st, 2nd, ... from each row, itself left out: a list of lists of rows."""
    count = len(apart)
    return [sorted(set(range(count)) - {i}, key=lambda j: apart[i, j]) for i in range(count)]


def slow(values, places, k):
    """Return the four measures of each row, as the equations say."""
    count = len(values)
    true = ranked(1 - values.astype(np.float64) @ values.T)
    shown = ranked(np.linalg.norm(places[:, None].astype(np.float64) - places, axis=-1))
    worst = k * (2 * count - 3 * k - 1) / 2
    found = []
    for i in range(count):
        near, seen = set(true[i][:k]), set(shown[i][:k])
        trusted = 1 - sum(true[i].index(j) + 1 - k for j in seen - near) / worst
        kept = 1 - sum(shown[i].index(j) + 1 - k for j in near - seen) / worst
        near_twice = near.union(*(true[j][:k] for j in near))
        seen_twice = seen.union(*(shown[j][:k] for j in seen))
        found.append((trusted, kept, len(near - seen_twice) / k, len(seen - near_twice) / k))
    return np.transpose(found)


@pytest.mark.parametrize("k", [1, 5, 15])
def test_trust_of_each_row_is_that_of_the_equations(k):
    values, graph, places = made()
    trust = trust_of(values, graph, places, neighbours=k)
    due = slow(values, places, k)
    assert np.allclose(trust.trustworthiness, due[0], atol=1e-5)
    assert np.allclose(trust.continuity, due[1], atol=1e-5)
    assert np.allclose(trust.torn, due[2], atol=1e-6)
    assert np.allclose(trust.false, due[3], atol=1e-6)
    assert trust.neighbours == k


def test_the_mean_is_the_published_measure():
    from sklearn.manifold import trustworthiness

    values, graph, places = made(200, seed=1)
    trust = trust_of(values, graph, places)
    there = trustworthiness(values, places, n_neighbors=15, metric="cosine")
    back = trustworthiness(places, values.astype(np.float64), n_neighbors=15)
    assert trust.mean_trustworthiness == pytest.approx(there, abs=1e-5)
    # Continuity is trustworthiness the other way round; of unit vectors both distances agree.
    assert trust.mean_continuity == pytest.approx(back, abs=1e-5)


def test_a_map_that_keeps_all_neighbours_is_trusted_wholly():
    angles = np.linspace(0, 3, 60)
    values = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    trust = trust_of(values, nearest_rows(values, 4), values, neighbours=4)
    assert trust.mean_trustworthiness > 0.999
    assert trust.mean_continuity > 0.999
    assert not trust.torn.any()
    assert not trust.false.any()


def test_estimated_ranks_are_near_the_true_ones(monkeypatch):
    values, graph, places = made(2500, seed=2)
    exact = trust_of(values, graph, places)
    monkeypatch.setattr(map_trust, "EXACT_ROWS", 1000)
    guessed = trust_of(values, graph, places)
    assert abs(guessed.mean_trustworthiness - exact.mean_trustworthiness) < 0.01
    assert abs(guessed.mean_continuity - exact.mean_continuity) < 0.01
    assert np.abs(guessed.trustworthiness - exact.trustworthiness).max() < 0.06
    assert (guessed.torn == exact.torn).all()
    assert (guessed.false == exact.false).all()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_rows_have_trust(count):
    values, graph, places = made(count)
    trust = trust_of(values, graph, places)
    for each in (trust.trustworthiness, trust.continuity, trust.torn, trust.false):
        assert each.shape == (count,)
        assert ((each >= 0) & (each <= 1)).all()


def test_rows_at_one_place_are_no_neighbours_of_themselves():
    near = near_on_map(np.zeros((30, 2), np.float32), 4)
    assert (near != np.arange(30)[:, None]).all()


def test_trust_can_be_stopped():
    values, graph, places = made()
    with pytest.raises(Cancelled):
        trust_of(values, graph, places, should_stop=lambda: True)
