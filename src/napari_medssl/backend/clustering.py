"""Clusters of embeddings: k-means, how sure each row is, how many there are, and where they lie.

Source: Ferrante et al., arXiv 2209.12005: soft assignment c = softmax(h^T B / T) to prototypes B,
which are the centres of k-means, and K by the elbow of its distortion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.map_layout import LayoutConfig, lay_out, neighbours_of
from napari_medssl.methods.contrastive_autoencoder.choosing import (
    Elbow,
    choose_clusters,
    k_means,
)

TEMPERATURE = 0.2
"""T of the soft assignment, of cosines."""

MOST = 20
"""Clusters that the elbow is looked for up to."""

_STARTS = 10


@dataclass(frozen=True, slots=True)
class Clusters:
    """A clustering of N rows into K clusters, the largest first.

    Attributes
    ----------
    labels
        int64, from 0, shape (N,).
    confidence
        Share of the row's own cluster in the soft assignment, float32, shape (N,).
    prototypes
        Unit length, float32, shape (K, D).
    """

    labels: NDArray[np.int64]
    confidence: NDArray[np.float32]
    prototypes: NDArray[np.float32]


def find_clusters(embeddings: NDArray[np.float32], count: int, seed: int = 0) -> Clusters:
    """Return k-means of rows of unit length.

    Parameters
    ----------
    embeddings
        Shape (N, D), unit length.
    count
        K, from 1 to N. Of rows that are alike there may be fewer clusters in the end.
    seed
        Of the starts.
    """
    centres, _ = k_means(embeddings, count, seed, _STARTS)
    # |x - c|^2 without |x|^2, which is the same for all centres.
    found = (0.5 * (centres**2).sum(axis=1) - embeddings @ centres.T).argmin(axis=1)
    # The largest first, and of equal ones that whose first member comes first.
    names, firsts, labels, sizes = np.unique(
        found, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((firsts, -sizes))
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    labels = place[labels]
    sums = np.zeros((len(names), embeddings.shape[1]), np.float64)
    np.add.at(sums, labels, embeddings)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    prototypes = (sums / np.maximum(lengths, 1e-12)).astype(np.float32)
    shares = soft_assignment(embeddings, prototypes)
    return Clusters(labels, shares[np.arange(len(labels)), labels], prototypes)


def soft_assignment(
    embeddings: NDArray[np.float32],
    prototypes: NDArray[np.float32],
    temperature: float = TEMPERATURE,
) -> NDArray[np.float32]:
    """Return softmax(h^T B / T), float32, shape (N, K)."""
    scores = embeddings.astype(np.float64) @ prototypes.astype(np.float64).T / temperature
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float32)


def count_clusters(
    embeddings: NDArray[np.float32],
    seed: int = 0,
    most: int = MOST,
    *,
    on_trial: Callable[[int], None] = lambda clusters: None,
) -> Elbow:
    """Return K at the elbow of the distortion of k-means for 1 to `most` clusters.

    See `choose_clusters`, also of `on_trial`. With two distinct rows or fewer, K is as many.
    """
    distinct = len(np.unique(embeddings, axis=0))
    if distinct < 3:
        return Elbow(distinct, False, ())
    return choose_clusters(embeddings, min(most, distinct), seed, on_trial=on_trial)


def places_of(
    embeddings: NDArray[np.float32],
    seed: int = 0,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> NDArray[np.float32]:
    """Return a place on the plane for each row, float32, shape (N, 2); see `backend.map_layout`.

    They are those of the widget "Embedding map" with its defaults and the same seed.
    """
    graph = neighbours_of(embeddings, on_progress=on_progress, should_stop=should_stop)
    config = LayoutConfig(seed=seed)
    return lay_out(embeddings, graph, config, on_progress=on_progress, should_stop=should_stop)
