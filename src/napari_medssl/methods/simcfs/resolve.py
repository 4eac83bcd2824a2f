"""From overlapping proposals to one consistent set of panels.

A figure is a partition: panels do not overlap and do not hold one another. The network may propose
a block of panels as one panel and its parts as well; whichever reading scores higher is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_medssl.methods.simcfs.suppress import intersection, suppress


@dataclass(frozen=True)
class Proposals:
    """Boxes (N, 4) `x0, y0, x1, y1` in pixels and scores (N,), best first."""

    boxes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: np.ndarray) -> Proposals:
        """Return the proposals at `index`."""
        return Proposals(self.boxes[index], self.scores[index])


def resolve(
    proposals: Proposals, score: float, *, overlap: float = 0.5, held: float = 0.75
) -> Proposals:
    """Return panels of at least `score` that neither overlap nor hold one another.

    Parameters
    ----------
    overlap
        Boxes with a higher intersection over union are the same panel.
    held
        A box with more than this share of its area inside another is a part of it.
    """
    kept = proposals.take(suppress(proposals.boxes, proposals.scores, overlap=overlap))
    kept = kept.take(np.flatnonzero(kept.scores >= score))
    if len(kept) < 2:
        return kept
    area = np.prod(kept.boxes[:, 2:] - kept.boxes[:, :2], axis=1)
    share = intersection(kept.boxes, kept.boxes) / np.maximum(
        area[:, None], 1e-9
    )  # (N, N): of i inside j
    np.fill_diagonal(share, 0)
    alive = np.ones(len(kept), bool)
    for j in np.argsort(-area):  # outer boxes first
        parts = np.flatnonzero((share[:, j] > held) & alive & (area < area[j]))
        if not alive[j] or parts.size == 0:
            continue
        covered = area[parts].sum() / area[j]
        if parts.size == 1 or covered < 0.45:
            loses = kept.scores[parts].max() > kept.scores[j] and covered > 0.45
        else:
            loses = kept.scores[parts].mean() > kept.scores[j]
        if loses:
            alive[j] = False
        else:
            alive[parts] = False
    return kept.take(np.flatnonzero(alive))
