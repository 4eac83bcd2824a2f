"""How well clusters and embeddings fit classes that were not used to make them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
_FOLDS = 5


def contingency(truth: Labels, found: Labels) -> NDArray[np.int64]:
    """Return how many rows of each class (rows) are in each cluster (columns)."""
    classes = np.unique(truth, return_inverse=True)[1]
    clusters = np.unique(found, return_inverse=True)[1]
    counts = np.zeros((classes.max() + 1, clusters.max() + 1), np.int64)
    np.add.at(counts, (classes, clusters), 1)
    return counts


def hungarian_accuracy(truth: Labels, found: Labels) -> float:
    """Return the part of the rows that are right under the best one-to-one map of clusters.

    Source: Kuhn (1955). Clusters beyond the number of classes are all wrong, and so are classes
    beyond the number of clusters.
    """
    from scipy.optimize import linear_sum_assignment

    counts = contingency(truth, found)
    rows, columns = linear_sum_assignment(-counts)
    return float(counts[rows, columns].sum() / counts.sum())


def purity(truth: Labels, found: Labels) -> float:
    """Return the part of the rows that are of the commonest class of their cluster.

    It grows with the number of clusters, and says nothing without it.
    """
    counts = contingency(truth, found)
    return float(counts.max(axis=0).sum() / counts.sum())


def majority_rate(truth: Labels) -> float:
    """Return the part of the rows that are of the commonest class."""
    return float(np.unique(truth, return_counts=True)[1].max() / len(truth))


def mutual_information(truth: Labels, found: Labels) -> float:
    """Return 2 I(T; F) / (H(T) + H(F)) of raw cluster numbers; 0 to 1."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(truth, found))


def adjusted_rand(truth: Labels, found: Labels) -> float:
    """Return the Rand index of raw cluster numbers, adjusted for chance (Hubert and Arabie)."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(truth, found))


def silhouette(embeddings: NDArray[np.floating], found: Labels) -> float | None:
    """Return the mean silhouette of clusters, None of one cluster or of as many as rows."""
    from sklearn.metrics import silhouette_score

    if not 1 < len(np.unique(found)) < len(found):
        return None
    return float(silhouette_score(embeddings, found))


def neighbour_accuracy(embeddings: NDArray[np.floating], truth: Labels, count: int = 5) -> float:
    """Return the part of the rows whose nearest others vote for their class, each left out once.

    Of classes with as many votes that of the nearer neighbour wins. Rows are compared by cosine.
    """
    rows = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    alike = rows @ rows.T
    np.fill_diagonal(alike, -np.inf)
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    right = 0
    for own, others in zip(truth, truth[nearest], strict=True):
        values, firsts, votes = np.unique(others, return_index=True, return_counts=True)
        right += bool(values[np.lexsort((firsts, -votes))[0]] == own)
    return right / len(truth)


def probe_accuracy(
    embeddings: NDArray[np.floating], truth: Labels, groups: Sequence[str] | None = None
) -> float:
    """Return the accuracy of logistic regression, of five folds by class, each tested once.

    Parameters
    ----------
    embeddings
        Shape (N, D); standardised by the training folds.
    truth
        Class of each row. Those of fewer rows than folds are in some training folds only.
    groups
        Rows of one group are never in different folds; None if each is by itself.
    """
    import warnings

    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    names = np.arange(len(truth)) if groups is None else np.asarray(groups)
    right = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer rows than folds
        for train, test in folds.split(embeddings, truth, names):
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            model.fit(embeddings[train], truth[train])
            right += int((model.predict(embeddings[test]) == truth[test]).sum())
    return right / len(truth)
