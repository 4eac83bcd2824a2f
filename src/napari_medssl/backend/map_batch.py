"""Do embeddings tell where a picture comes from? A linear probe of slides or scanners.

What a map shows as groups may be the stain of a slide or the optics of a scanner. A linear probe
says how well the group can be read off an embedding; the neighbours say whether it rules what is
near.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.map_places import checked_rows
from napari_medssl.index.neighbour_graph import nearest_rows

FOLDS = 5
NEIGHBOURS = 15
MOST_ROWS = 5_000
"""Rows that are looked at, or about as many; of more, the same part of each group is drawn."""

MOST_GROUPS = 500


@dataclass(frozen=True, slots=True)
class GroupShare:
    """One group: its rows (of those looked at), and the part of them that the probe tells."""

    name: str
    rows: int
    recall: float


@dataclass(frozen=True, slots=True)
class BatchEffect:
    """How far embeddings tell the group of a row.

    Attributes
    ----------
    accuracy
        Mean recall of the groups, of a linear probe on rows it was not fitted to.
    chance
        What guessing gives: 1 by the number of groups.
    same_neighbours
        Mean part of a row's neighbours that are of its own group.
    same_by_chance
        That part if groups were dealt out at random.
    groups
        The groups, as they come in order.
    left_out
        Groups of fewer rows than there are folds.
    rows
        Rows that were looked at.
    """

    accuracy: float
    chance: float
    same_neighbours: float
    same_by_chance: float
    groups: tuple[GroupShare, ...]
    left_out: tuple[str, ...]
    rows: int

    @property
    def strength(self) -> float:
        """Return the part of the way from guessing (0) to telling always (1)."""
        return max(0.0, (self.accuracy - self.chance) / (1 - self.chance))

    def to_json(self) -> str:
        """Return all of it as JSON text."""
        return json.dumps(asdict(self) | {"strength": self.strength}, indent=1)


def check_batch(
    embeddings: NDArray[np.float32],
    groups: Sequence[str],
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> BatchEffect:
    """Return how far embeddings tell the group of a row.

    Parameters
    ----------
    embeddings
        Unit length, shape (N, D).
    groups
        Slide, scanner or site of each row; rows of an empty one are left out.
    seed
        Of the rows and folds that are drawn.

    Raises
    ------
    UserError
        If fewer than two groups have `FOLDS` rows, more than `MOST_GROUPS` do, or the embeddings
        cannot be used.
    Cancelled
        If it was asked to stop.
    """
    values, names = checked_rows(embeddings), np.asarray(groups, np.str_)
    if len(values) != len(names):
        raise UserError(f"{len(names)} groups came for {len(values)} embeddings; due is one each.")
    known, labels, sizes = np.unique(names, return_inverse=True, return_counts=True)
    is_used = (sizes >= FOLDS) & (known != "")
    if is_used.sum() < 2:
        raise UserError(
            f"{int(is_used.sum())} of {len(known)} groups have {FOLDS} rows or more; at least 2 "
            "are due to compare. Choose a column with fewer values, such as the slide or scanner."
        )
    if is_used.sum() > MOST_GROUPS:
        raise UserError(
            f"{int(is_used.sum())} groups came to tell apart; due are {MOST_GROUPS} at most. "
            "Choose a column with fewer values, such as the slide or scanner."
        )
    rng = np.random.default_rng(seed)
    rows = _drawn(labels, is_used, rng)
    place = np.cumsum(is_used) - 1
    values, labels = values[rows], place[labels[rows]]
    told = _told(values, labels, rng, on_progress, should_stop)
    counts = np.bincount(labels)
    recalls = np.bincount(labels, weights=told == labels) / counts
    shares = [
        GroupShare(str(name), int(count), float(recall))
        for name, count, recall in zip(known[is_used], counts, recalls, strict=True)
    ]
    near = nearest_rows(values, NEIGHBOURS, should_stop=should_stop)
    if near is None:
        raise Cancelled("Stopped while groups were told apart.")
    same = float((labels[near.rows] == labels[:, None]).mean())
    by_chance = float((counts * (counts - 1)).sum() / (len(rows) * (len(rows) - 1)))
    left_out = tuple(str(name) for name in known[~is_used] if name)
    return BatchEffect(
        float(recalls.mean()), 1 / len(counts), same, by_chance, tuple(shares), left_out, len(rows)
    )


def _drawn(
    labels: NDArray[np.intp], is_used: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the rows of the groups in use: all, or of more the same part of each group."""
    rows = np.flatnonzero(is_used[labels])
    if len(rows) <= MOST_ROWS:
        return rows
    kept: list[NDArray[np.int64]] = []
    for group in np.flatnonzero(is_used):
        members = np.flatnonzero(labels == group)
        due = max(FOLDS, round(len(members) * MOST_ROWS / len(rows)))
        kept.append(rng.choice(members, min(due, len(members)), replace=False))
    return np.sort(np.concatenate(kept))


def _told(
    values: NDArray[np.float32],
    labels: NDArray[np.int64],
    rng: np.random.Generator,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> NDArray[np.int64]:
    """Return the group that logistic regression tells for each row, fitted to the other folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    told = np.zeros(len(labels), np.int64)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    for done, (train, test) in enumerate(folds.split(values, labels)):
        if should_stop():
            raise Cancelled("Stopped while groups were told apart.")
        on_progress(Progress(done, FOLDS, "telling groups apart"))
        # Balanced: a large slide is not to be guessed for every row.
        probe = LogisticRegression(max_iter=300, class_weight="balanced")
        model = make_pipeline(StandardScaler(), probe)
        told[test] = model.fit(values[train], labels[train]).predict(values[test])
    on_progress(Progress(FOLDS, FOLDS, "telling groups apart"))
    return told
