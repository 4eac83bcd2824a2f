"""How many clusters, and where: k-means on embeddings, and the elbow of its distortion.

Source: Ferrante et al., arXiv 2209.12005: k-means on h for K from 2 to 20 and the elbow of the
distortion; the middle of the range if there is none.

We differ: the elbow is looked for over log K from K = 1 on. Without clusters the distortion falls
nearly in a straight line there, however many dimensions there are; over K it is bent always, and an
elbow would be found in noise. Whether it was found is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_BEND = 0.12
"""Least depth of an elbow below the chord, as a part of the fall.

Noise in 5 dimensions shows .08, in more dimensions less; eight blobs in 50 that overlap show .25.
"""

_STARTS = 8


@dataclass(frozen=True, slots=True)
class Elbow:
    """The number of clusters that was chosen.

    Attributes
    ----------
    clusters
        K.
    is_found
        Whether there was an elbow; else K is the middle of the range.
    distortions
        Mean squared distance of embeddings to their centres for K = 1, 2, ...
    """

    clusters: int
    is_found: bool
    distortions: tuple[float, ...]


def k_means(
    points: NDArray[np.float32], clusters: int, seed: int, starts: int = _STARTS
) -> tuple[NDArray[np.float32], float]:
    """Return the centres, shape (K, d), of the best of some runs, and their distortion.

    Fewer centres come where there are fewer different points.

    Parameters
    ----------
    points
        Shape (N, d).
    clusters
        K, at least 1.
    starts
        Runs.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    different = np.unique(points, axis=0)
    if len(different) <= clusters:
        return different.astype(np.float32), 0.0
    with threadpool_limits(1):  # sums of several threads have no fixed order
        found = KMeans(clusters, n_init=starts, random_state=seed).fit(points)
    return found.cluster_centers_.astype(np.float32), float(found.inertia_) / len(points)


def choose_clusters(
    points: NDArray[np.float32],
    most: int,
    seed: int,
    *,
    on_trial: Callable[[int], None] = lambda clusters: None,
) -> Elbow:
    """Return the number of clusters at the elbow of the distortion of K = 1 to `most`.

    Parameters
    ----------
    points
        Shape (N, d).
    most
        Largest K that is tried, at least 3.
    on_trial
        Called with each K before it is tried; what it raises goes up.
    """
    distortions = []
    for clusters in range(1, most + 1):
        on_trial(clusters)
        distortions.append(k_means(points, clusters, seed)[1])
    return find_elbow(distortions)


def find_elbow(distortions: Sequence[float]) -> Elbow:
    """Return the K from 2 on that lies deepest below the chord of the distortions over log K.

    Parameters
    ----------
    distortions
        For K = 1, 2, ..., at least three.
    """
    if len(distortions) < 3:
        raise ValueError(f"{len(distortions)} distortions came; due are at least 3.")
    values = np.asarray(distortions, np.float64)
    count = len(values)
    fall = values[0] - values[-1]
    middle = (2 + count) // 2
    if not fall > 0:
        return Elbow(middle, False, tuple(values.tolist()))
    along = np.log(np.arange(1, count + 1)) / np.log(count)
    depth = 1 - along - (values - values[-1]) / fall
    place = int(depth[1:-1].argmax()) + 1
    is_found = bool(depth[place] >= LEAST_BEND)
    return Elbow(place + 1 if is_found else middle, is_found, tuple(values.tolist()))
