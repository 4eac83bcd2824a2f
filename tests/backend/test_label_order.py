"""The first pictures to label are unlike each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from napari_medssl.backend.label_order import unlike_first


def rows(count, dimensions=4, seed=0):
    made = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def radius(embeddings, chosen):
    """How far a row is at most from the nearest of those chosen."""
    apart = np.linalg.norm(embeddings[:, None] - embeddings[None, list(chosen)], axis=2)
    return apart.min(axis=1).max()


def slow_order(embeddings):
    apart = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    middle = np.linalg.norm(embeddings - embeddings.mean(axis=0), axis=1).argmin()
    chosen = [int(middle)]
    while len(chosen) < len(embeddings):
        chosen.append(int(apart[:, chosen].min(axis=1).argmax()))
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_order_of_a_slow_loop(seed):
    embeddings = rows(30, seed=seed)
    assert unlike_first(embeddings).tolist() == slow_order(embeddings)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_first_k_cover_within_twice_the_best_radius(k):
    embeddings = rows(14, seed=k)
    best = min(radius(embeddings, some) for some in combinations(range(14), k))
    assert radius(embeddings, unlike_first(embeddings)[:k]) <= 2 * best + 1e-6


def test_one_of_each_bundle_comes_first():
    """Bundles that lie apart: of k bundles, the first k are one each, however large they are."""
    sizes = (50, 3, 10, 1)
    group = np.repeat(np.arange(4), sizes)
    noise = np.random.default_rng(0).normal(0, 0.01, (len(group), 6))
    embeddings = (np.eye(6)[group] + noise).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert sorted(group[unlike_first(embeddings)[:4]]) == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_every_row_comes_once_also_where_few_are_chosen(count):
    order = unlike_first(rows(count), most=3)
    assert sorted(order.tolist()) == list(range(count))
    assert order.dtype == np.int64


def test_rows_that_are_all_alike_stay_in_their_order():
    assert unlike_first(np.tile(rows(1), (5, 1))).tolist() == [0, 1, 2, 3, 4]
