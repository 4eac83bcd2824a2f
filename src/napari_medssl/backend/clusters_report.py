"""The scores of clusterings, as `medssl evaluate clusters` prints and writes them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class ClusterScores:
    """Scores of one row of the table.

    Attributes
    ----------
    method
        What made the embeddings.
    accuracy, mutual_information, adjusted_rand, silhouette
        With as many clusters as classes: of the best one-to-one map, and of raw numbers.
    chosen, purity
        Number of clusters by the elbow, and the purity with that many.
    neighbours, probe
        Accuracy of the five nearest neighbours and of logistic regression, which see labels.
    error
        Squared error of pictures that are made from the embeddings again, as a part of the
        variance of their pixels; None where embeddings cannot be decoded.
    """

    method: str
    accuracy: float
    mutual_information: float
    adjusted_rand: float
    silhouette: float | None
    chosen: int
    purity: float
    neighbours: float
    probe: float
    error: float | None = None


@dataclass(frozen=True, slots=True)
class PairScores:
    """Two classes taken as one, and how well two clusters of their pictures find them again.

    Attributes
    ----------
    classes
        Their names.
    images
        Pictures of both.
    accuracy, mutual_information
        Of the best one-to-one map, and of raw numbers.
    majority
        Part of the larger one.
    """

    classes: tuple[str, str]
    images: int
    accuracy: float
    mutual_information: float
    majority: float


@dataclass(frozen=True, slots=True)
class ClusterSet:
    """The rows of one folder.

    Attributes
    ----------
    majority
        Part of the commonest class.
    supervised
        Accuracy of `backend.supervised_baseline`, None if it was not asked for.
    pairs
        Sub-groups that are known, of the first encoder's embeddings; none if not asked for.
    """

    name: str
    classes: tuple[str, ...]
    images: int
    majority: float
    supervised: float | None
    rows: tuple[ClusterScores, ...]
    pairs: tuple[PairScores, ...] = ()


@dataclass(frozen=True, slots=True)
class ClustersReport:
    """All folders, and the settings."""

    settings: dict[str, object]
    sets: tuple[ClusterSet, ...]
    failures: tuple[tuple[str, str], ...]

    def to_json(self) -> str:
        """Return all of it."""
        return json.dumps(asdict(self), indent=2)

    def means(self) -> tuple[tuple[str, float, float], ...]:
        """Return (method, mean accuracy, mean mutual information) over the folders."""
        found = []
        for place, row in enumerate(self.sets[0].rows):
            of_sets = [each.rows[place] for each in self.sets]
            found.append(
                (
                    row.method,
                    float(np.mean([r.accuracy for r in of_sets])),
                    float(np.mean([r.mutual_information for r in of_sets])),
                )
            )
        return tuple(found)
