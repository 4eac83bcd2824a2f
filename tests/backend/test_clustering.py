"""Clusters, their number, and the scores, each against a slow oracle."""

import itertools
import math

import numpy as np
import pytest

from napari_medssl.backend import clustering_scores as scores
from napari_medssl.backend.clustering import (
    count_clusters,
    find_clusters,
    places_of,
    soft_assignment,
)

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 3, 40)
FOUND = np.where(RNG.random(40) < 0.6, (TRUTH + 1) % 3, RNG.integers(0, 4, 40))


def blobs(sizes=(9, 6, 3), spread=0.05, dim=6):
    rng = np.random.default_rng(1)
    rows = np.concatenate([np.eye(dim)[k] + spread * rng.normal(size=(n, dim))
                           for k, n in enumerate(sizes)])  # fmt: skip
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.repeat(np.arange(len(sizes)), sizes)


def test_hungarian_accuracy_is_that_of_the_best_map():
    best = 0
    for order in itertools.permutations(range(4)):  # cluster -> class; class 3 does not exist
        best = max(best, sum(order[f] == t for t, f in zip(TRUTH, FOUND, strict=True)))
    assert scores.hungarian_accuracy(TRUTH, FOUND) == pytest.approx(best / 40)


def test_purity_counts_the_commonest_class():
    right = 0
    for cluster in set(FOUND.tolist()):
        members = [int(t) for t, f in zip(TRUTH, FOUND, strict=True) if f == cluster]
        right += max(members.count(each) for each in set(members))
    assert scores.purity(TRUTH, FOUND) == pytest.approx(right / 40)
    assert scores.majority_rate(np.array([0, 0, 1])) == pytest.approx(2 / 3)


def test_mutual_information_is_that_of_its_equation():
    def entropy(labels):
        return -sum(
            p * math.log(p) for p in (np.mean(labels == each) for each in set(labels.tolist()))
        )

    together = 0.0
    for t, f in itertools.product(set(TRUTH.tolist()), set(FOUND.tolist())):
        both = np.mean((t == TRUTH) & (f == FOUND))
        if both:
            together += both * math.log(both / (np.mean(t == TRUTH) * np.mean(f == FOUND)))
    due = 2 * together / (entropy(TRUTH) + entropy(FOUND))
    assert scores.mutual_information(TRUTH, FOUND) == pytest.approx(due)


def test_adjusted_rand_is_that_of_pairs():
    pairs = list(itertools.combinations(range(40), 2))
    same_t = np.array([TRUTH[a] == TRUTH[b] for a, b in pairs])
    same_f = np.array([FOUND[a] == FOUND[b] for a, b in pairs])
    both, expected = (same_t & same_f).sum(), same_t.sum() * same_f.sum() / len(pairs)
    due = (both - expected) / ((same_t.sum() + same_f.sum()) / 2 - expected)
    assert scores.adjusted_rand(TRUTH, FOUND) == pytest.approx(due)


def test_the_nearest_others_vote():
    rows, truth = blobs()
    assert scores.neighbour_accuracy(rows, truth, 2) == 1
    spoilt = truth.copy()
    spoilt[0] = 2  # one row of nine: it alone is wrong
    assert scores.neighbour_accuracy(rows, spoilt, 3) == pytest.approx(17 / 18)


def test_a_probe_learns_what_is_there_and_nothing_else():
    rows, truth = blobs((20, 20, 20))
    assert scores.probe_accuracy(rows, truth) == 1
    assert scores.probe_accuracy(rows, np.random.default_rng(0).permutation(truth)) < 0.6
    groups = [str(number // 2) for number in range(60)]
    assert scores.probe_accuracy(rows, truth, groups) == 1


def test_silhouette_of_one_cluster_is_none():
    rows, truth = blobs()
    assert scores.silhouette(rows, truth) > 0.8
    assert scores.silhouette(rows, np.zeros(18, int)) is None
    assert scores.silhouette(rows, np.arange(18)) is None


def test_clusters_are_numbered_by_size_and_sure_of_their_middle():
    rows, truth = blobs((3, 9, 6))
    found = find_clusters(rows, 3)
    assert np.bincount(found.labels).tolist() == [9, 6, 3]
    assert scores.hungarian_accuracy(truth, found.labels) == 1
    assert found.confidence.min() > 0.9
    assert np.allclose(np.linalg.norm(found.prototypes, axis=1), 1, atol=1e-6)
    between = np.array([[1, 1, 0, 0, 0, 0]], np.float32) / np.sqrt(2)
    assert soft_assignment(between, found.prototypes).max() < 0.6
    sharp = soft_assignment(rows, found.prototypes, 0.01)
    assert (sharp.max(axis=1) > found.confidence).all()


def test_soft_assignment_is_a_softmax_of_cosines():
    rows, _ = blobs()
    found = soft_assignment(rows[:2], rows[5:8], 0.5)
    for n in range(2):
        powers = [math.exp(float(rows[n] @ rows[5 + k]) / 0.5) for k in range(3)]
        assert np.allclose(found[n], np.array(powers) / sum(powers), atol=1e-6)


def test_rows_that_are_alike_give_fewer_clusters():
    rows = np.tile(np.eye(3, dtype=np.float32)[:1], (5, 1))
    found = find_clusters(rows, 3)
    assert set(found.labels.tolist()) == {0}
    assert count_clusters(rows).clusters == 1


def test_the_number_is_that_of_the_blobs():
    rows, _ = blobs((20, 20, 20, 20))
    found = count_clusters(rows)
    assert (found.clusters, found.is_found) == (4, True)
    two = count_clusters(np.repeat(np.eye(2, dtype=np.float32), 4, axis=0))
    assert (two.clusters, two.is_found) == (2, False)


def test_places_keep_those_together_that_are_alike():
    rows, truth = blobs((20, 20, 20))
    places = places_of(rows)
    assert places.shape == (60, 2)
    assert scores.neighbour_accuracy(places - places.mean(0), truth, 3) > 0.95
    assert (places == places_of(rows)).all()
    assert places_of(rows[:3]).shape == (3, 2)
    assert places_of(np.ones((2, 1), np.float32)).shape == (2, 2)
