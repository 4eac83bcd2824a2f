"""Scores of retrieval against the sums they are defined by."""

import numpy as np
import pytest

from napari_medssl.methods.siamese.retrieval import (
    chance_scores,
    global_addr,
    macro_mean,
    score_queries,
)
from napari_medssl.methods.siamese.tightness import tightness


def random_tiles(count=60, classes=3, slides=9, seed=0):
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((count, 5))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings, rng.integers(classes, size=count), rng.integers(slides, size=count)


def slow_scores(embeddings, classes, slides, query, asked):
    """The definition, rank by rank."""
    gallery = [i for i in range(len(classes)) if slides[i] != slides[query]]
    gallery.sort(key=lambda i: -float(embeddings[i] @ asked))
    rel = [int(classes[i] == classes[query]) for i in gallery]
    if not sum(rel):
        return None
    total = sum(sum(rel[: i + 1]) / (i + 1) * rel[i] for i in range(min(10, len(rel))))
    scores = {"map_10": total / min(10, sum(rel))}
    for k in (1, 5, 10):
        scores[f"precision_{k}"] = sum(rel[:k]) / k
        scores[f"hit_{k}"] = float(any(rel[:k]))
    return scores


@pytest.mark.parametrize("jittered", [False, True])
def test_the_scores_are_those_of_the_definition(jittered):
    embeddings, classes, slides = random_tiles()
    asked = embeddings
    if jittered:
        asked = embeddings + 0.3 * np.random.default_rng(1).standard_normal(embeddings.shape)
    came = score_queries(embeddings, classes, slides, queries=asked if jittered else None)
    for query in range(len(classes)):
        due = slow_scores(embeddings, classes, slides, query, asked[query])
        for name, value in due.items():
            assert came.values[name][query] == pytest.approx(value), name


def test_few_relevant_tiles_can_still_score_one():
    """min(10, R): two relevant tiles on the first two ranks are a perfect answer."""
    embeddings = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1], [0.1, 1]])
    came = score_queries(embeddings, np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 4]))
    assert came.values["map_10"][:3].tolist() == [1.0, 1.0, 1.0]


def test_a_query_without_a_fellow_on_other_slides_is_not_counted():
    embeddings, _, _ = random_tiles(4)
    came = score_queries(embeddings, np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]))
    assert np.isnan(came.values["map_10"][:2]).all()
    assert not np.isnan(came.values["map_10"][2:]).any()
    assert macro_mean(came.values["map_10"], np.array([0, 0, 1, 1])) == pytest.approx(
        came.values["map_10"][2:].mean()
    )


@pytest.mark.parametrize(("relevant", "gallery"), [(3, 40), (25, 40), (1, 30), (12, 12)])
def test_chance_is_the_mean_of_random_orders(relevant, gallery):
    rng = np.random.default_rng(0)
    rel = np.zeros((4000, gallery), bool)
    rel[:, :relevant] = True
    rel = rng.permuted(rel, axis=1)[:, :10]
    precision = np.cumsum(rel, axis=1) / np.arange(1, rel.shape[1] + 1)
    due = {"map_10": (precision * rel).sum(axis=1).mean() / min(10, relevant)}
    for k in (1, 5, 10):
        due |= {f"precision_{k}": rel[:, :k].mean(), f"hit_{k}": rel[:, :k].any(axis=1).mean()}
    came = chance_scores(relevant, gallery)
    for name, value in due.items():
        assert came[name] == pytest.approx(value, abs=0.02), name


def test_global_addr_is_the_ratio_of_mean_distances():
    embeddings, _, slides = random_tiles(20)
    near, far = [], []
    for i in range(20):
        for j in range(i):
            gap = np.linalg.norm(embeddings[i] - embeddings[j])
            (near if slides[i] == slides[j] else far).append(gap)
    assert global_addr(embeddings, slides) == pytest.approx(np.mean(far) / np.mean(near))
    assert np.isnan(global_addr(embeddings, np.arange(20)))


def slow_tightness(places, classes, slides, label):
    own, every = [], []
    for i in range(len(places)):
        for j in range(i):
            if slides[i] != slides[j]:
                apart = sum((a - b) ** 2 for a, b in zip(places[i], places[j], strict=True)) ** 0.5
                every.append(apart)
                if classes[i] == classes[j] == label:
                    own.append(apart)
    return np.median(own) / np.median(every) if own else float("nan")


def test_tightness_is_the_ratio_of_medians_across_slides():
    rng = np.random.default_rng(0)
    classes, slides = rng.integers(0, 3, 40), rng.integers(0, 5, 40)
    places = rng.normal(size=(40, 2)) + 4.0 * (classes == 1)[:, None] * (1, 0)
    found = tightness(places, classes, slides)
    for label in range(3):
        assert found[label] == pytest.approx(slow_tightness(places, classes, slides, label))
    alone = tightness(places, np.arange(40), slides)
    assert all(np.isnan(value) for value in alone.values())
