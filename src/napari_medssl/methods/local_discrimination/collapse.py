"""Tell regions that have died or share their pixels: nothing in the losses forbids either.

Source: a fault by reading of the released code of Chen et al., arXiv 2108.09440, which neither
prevents nor reports it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What the regions of some images are like.

    Attributes
    ----------
    areas
        Part of all pixels that belong to each region more than to any other, length K.
    dead
        Regions that own next to no pixel.
    shared
        Pairs of regions that lie on the same pixels.
    """

    areas: tuple[float, ...]
    dead: tuple[int, ...]
    shared: tuple[tuple[int, int], ...]

    @property
    def used(self) -> int:
        """How many regions are not dead."""
        return len(self.areas) - len(self.dead)

    @property
    def has_collapsed(self) -> bool:
        """Whether one region, or none, is all that is left."""
        return self.used < 2

    def lines(self) -> tuple[str, ...]:
        """Return what is wrong in words for a person; nothing if all is well."""
        found = []
        if self.has_collapsed:
            found.append("The regions have collapsed: one of them takes every pixel.")
        elif self.dead:
            dead = ", ".join(str(number) for number in self.dead)
            found.append(f"{len(self.dead)} of {len(self.areas)} regions own no pixels: {dead}.")
        if self.shared:
            pairs = ", ".join(f"{one} and {other}" for one, other in self.shared[:5])
            more = f" and {len(self.shared) - 5} more pairs" if len(self.shared) > 5 else ""
            found.append(f"Regions share their pixels: {pairs}{more}.")
        return tuple(found)


def cluster_report(
    assignments: Tensor, *, least_area: float = 0.001, most_overlap: float = 0.8
) -> ClusterReport:
    """Return what the regions of some images are like.

    Parameters
    ----------
    assignments
        Shares of the regions, shape (M, K, H, W).
    least_area
        A region that owns a smaller part of the pixels is dead.
    most_overlap
        Two regions whose Dice coefficient, taken of shares, is more than this share their pixels.
    """
    count = assignments.shape[1]
    shares = assignments.detach().transpose(0, 1).reshape(count, -1).float()  # (K, P)
    owner = torch.bincount(shares.argmax(dim=0), minlength=count)
    areas = (owner / shares.shape[1]).tolist()
    dead = tuple(number for number, area in enumerate(areas) if area < least_area)
    sizes = shares.sum(dim=1)
    found = []
    for one in range(count):
        common = torch.minimum(shares[one], shares[one + 1 :]).sum(dim=1)
        overlap = 2 * common / (sizes[one] + sizes[one + 1 :])  # Dice of soft regions
        found += [(one, one + 1 + int(k)) for k in (overlap > most_overlap).nonzero().flatten()]
    # Two dead ones have a little of every pixel both: that is said by their death.
    shared = tuple(pair for pair in found if not set(pair) <= set(dead))
    return ClusterReport(tuple(areas), dead, shared)
