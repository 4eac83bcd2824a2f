"""Scores of tile retrieval: how well an encoder finds tiles of a class on other slides.

For a query q the gallery is every tile of another slide, sorted by cosine similarity. rel_i says
whether the i-th is of q's class, P@i = (rel_1 + ... + rel_i) / i, R is the number of tiles of
that class in the gallery:

    AP@k  = sum over i <= k of P@i * rel_i / min(k, R)        (mAP@k is its mean over queries)
    hit@k = 1 if any rel_i with i <= k, else 0

Queries with R = 0 can find nothing and are not counted. Beside each score stands what a random
order of the same gallery scores on average, in closed form.

Global ADDR (Gildenblat and Klaiman, arXiv 1905.08139; its formula is inferred): mean distance of
far pairs over mean distance of near pairs, pooled over all slides; 1 says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

DEPTHS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class QueryScores:
    """Scores of every query, in the order of the tiles.

    Attributes
    ----------
    values
        Score of each query by name, shape (N,): "map_10", "precision_1", "hit_5" and so on. NaN
        where the query cannot be counted.
    chance
        What a random order scores on average, by the same names.
    """

    values: Mapping[str, NDArray[np.float64]]
    chance: Mapping[str, NDArray[np.float64]]


def score_queries(
    embeddings: NDArray[np.floating],
    classes: NDArray[np.integer],
    slides: NDArray[np.integer],
    *,
    queries: NDArray[np.floating] | None = None,
) -> QueryScores:
    """Return the scores of each tile as a query among the tiles of other slides.

    Parameters
    ----------
    embeddings
        Of the gallery, unit length, shape (N, D).
    classes, slides
        Numbers, shape (N,).
    queries
        Embeddings of the same tiles as they are asked with, such as with another stain; by
        default those of the gallery.
    """
    asked = embeddings if queries is None else queries
    deepest = max(DEPTHS)
    names = [f"map_{deepest}", *(f"{kind}_{k}" for kind in ("precision", "hit") for k in DEPTHS)]
    values = {name: np.full(len(classes), np.nan) for name in names}
    chance = {name: np.full(len(classes), np.nan) for name in names}
    for query in range(len(classes)):
        others = np.flatnonzero(slides != slides[query])
        is_same = classes[others] == classes[query]
        relevant = int(is_same.sum())
        if not relevant:
            continue
        similarity = embeddings[others] @ asked[query]
        nearest = np.argsort(-similarity, kind="stable")[:deepest]
        for name, value in _scores(is_same[nearest], relevant).items():
            values[name][query] = value
        for name, value in chance_scores(relevant, len(others)).items():
            chance[name][query] = value
    return QueryScores(values, chance)


def _scores(hits: NDArray[np.bool_], relevant: int) -> dict[str, float]:
    deepest = max(DEPTHS)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    scores = {f"map_{deepest}": float((precision * hits).sum() / min(deepest, relevant))}
    for depth in DEPTHS:
        scores[f"precision_{depth}"] = float(hits[:depth].sum() / min(depth, len(hits)))
        scores[f"hit_{depth}"] = float(hits[:depth].any())
    return scores


def chance_scores(relevant: int, gallery: int) -> dict[str, float]:
    """Return what a random order scores on average: exact, from the hypergeometric distribution."""
    deepest = max(DEPTHS)
    share = relevant / gallery
    both = share * (relevant - 1) / (gallery - 1) if gallery > 1 else 0.0  # two ranks are relevant
    ranks = np.arange(1, min(deepest, gallery) + 1)
    average = ((share + (ranks - 1) * both) / ranks).sum() / min(deepest, relevant)
    scores = {f"map_{deepest}": float(average)}
    for depth in DEPTHS:
        scores[f"precision_{depth}"] = share
        scores[f"hit_{depth}"] = 1 - _no_hit(relevant, gallery, min(depth, gallery))
    return scores


def _no_hit(relevant: int, gallery: int, depth: int) -> float:
    """Return the chance that none of `depth` drawn is relevant."""
    rest = gallery - relevant
    if depth > rest:
        return 0.0

    def log_choose(n: int, k: int) -> float:
        return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    return float(np.exp(log_choose(rest, depth) - log_choose(gallery, depth)))


def macro_mean(values: NDArray[np.floating], groups: NDArray[np.integer]) -> float:
    """Return the mean over groups of the mean of each, NaN passed over; NaN if nothing is left."""
    means = [
        values[chosen].mean()
        for group in np.unique(groups)
        if (chosen := (groups == group) & ~np.isnan(values)).any()
    ]
    return float(np.mean(means)) if means else float("nan")


def global_addr(embeddings: NDArray[np.floating], slides: NDArray[np.integer]) -> float:
    """Return the mean distance between slides over that within; NaN where one of them is empty.

    Parameters
    ----------
    embeddings
        Unit length, shape (N, D): distances are those of normalised embeddings.
    slides
        Numbers, shape (N,). Two tiles of one slide are near, of two slides far.
    """
    cosine = np.clip(embeddings @ embeddings.T, -1, 1).astype(np.float64)
    distance = np.sqrt(2 - 2 * cosine)
    is_pair = np.triu(np.ones(distance.shape, bool), 1)
    is_near = slides[:, None] == slides[None, :]
    near, far = distance[is_pair & is_near], distance[is_pair & ~is_near]
    if not len(near) or not len(far) or not near.mean():
        return float("nan")
    return float(far.mean() / near.mean())
