"""Near and far pairs of tiles, by their distance on the slide.

Source: Gildenblat and Klaiman, arXiv 1905.08139: pairs up to 2 mm apart are near, beyond 10 mm
far, those in between are not used; both in mm here, whatever the resolution.

We differ: a tile with no far partner on its slide takes one from another slide, and a lone slide
that is too small has both distances scaled down (tiles in its middle may then have
near partners alone); a tile with no near partner is its own, in another augmentation.
`PairSampler.remarks` says where that was done.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

_TRIES = 12
_ALL_POINTS = 1500  # up to here every tile is compared with every other
_SCALED_FAR = 0.5  # of the longest distance, on a lone slide that is too small


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of tiles: their places in the list, shape (N,) each, and whether they are far."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    is_far: NDArray[np.bool_]


class PairSampler:
    """Draws a partner for every tile: near or far with equal chance, anew each time.

    Parameters
    ----------
    slides
        Number of the slide of each tile, shape (N,).
    places_mm
        Middle `(x, y)` of each tile on its slide in mm, shape (N, 2); NaN where it is not known:
        such tiles are near to themselves and far from other slides.
    near_mm, far_mm
        Up to which distance pairs are near, and beyond which they are far.

    Raises
    ------
    ValueError
        If shapes do not fit, the distances make no sense, or no tile can have a far partner.
    """

    def __init__(
        self,
        slides: NDArray[np.integer],
        places_mm: NDArray[np.floating],
        *,
        near_mm: float = 2.0,
        far_mm: float = 10.0,
    ) -> None:
        self.slides = np.asarray(slides, np.int64)
        self.places = np.asarray(places_mm, np.float64)
        if self.places.shape != (len(self.slides), 2):
            raise ValueError(f"Places are of shape {self.places.shape}; due is one row a tile.")
        if not 0 < near_mm < far_mm:
            raise ValueError(f"Near {near_mm} and far {far_mm} mm; due is 0 < near < far.")
        self.near_mm, self.far_mm = near_mm, far_mm
        self.remarks: tuple[str, ...] = ()
        self._members = [np.flatnonzero(self.slides == one) for one in np.unique(self.slides)]
        if len(self._members) == 1:
            self._scale_to_fit()
        self._trees = [_tree(self.places[members]) for members in self._members]
        self._has_far = self._find_far()
        self._remark()

    def draw(self, generator: np.random.Generator) -> Pairs:
        """Return one pair for each tile, in random order."""
        order = generator.permutation(len(self.slides))
        has_far = self._has_far[order] | (len(self._members) > 1)
        is_far = (generator.random(len(order)) < 0.5) & has_far
        near = self.near_partners(generator)
        far = self._far_partners(generator)
        second = np.where(is_far, far[order], near[order])
        return Pairs(order, second, is_far)

    def distance_mm(self, pairs: Pairs) -> NDArray[np.float64]:
        """Return the distances on the slide; infinite between slides, NaN where unknown."""
        gaps = self.places[pairs.first] - self.places[pairs.second]
        apart: NDArray[np.float64] = np.linalg.norm(gaps, axis=1)
        apart[pairs.first == pairs.second] = 0.0
        apart[self.slides[pairs.first] != self.slides[pairs.second]] = np.inf
        return apart

    def _scale_to_fit(self) -> None:
        known = self.places[~np.isnan(self.places).any(axis=1)]
        longest = _farthest(known, known).max() if len(known) else 0.0
        if longest > self.far_mm:
            return
        if longest == 0.0:
            raise ValueError("One slide without two places has no far pairs; give another slide.")
        share = _SCALED_FAR * longest / self.far_mm
        self.near_mm, self.far_mm = self.near_mm * share, self.far_mm * share
        self.remarks += (
            f"The only slide is {longest:.3g} mm across: near is up to {self.near_mm:.3g} mm "
            f"and far beyond {self.far_mm:.3g} mm.",
        )

    def _find_far(self) -> NDArray[np.bool_]:
        """Return which tiles have a far partner on their own slide."""
        has_far = np.zeros(len(self.slides), bool)
        for members in self._members:
            known = members[~np.isnan(self.places[members]).any(axis=1)]
            if len(known):
                points = self.places[known]
                has_far[known] = _farthest(points, _outer(points)) > self.far_mm
        return has_far

    def _remark(self) -> None:
        small = sum(not self._has_far[members].any() for members in self._members)
        if small and len(self._members) > 1:
            self.remarks += (
                f"{small} of {len(self._members)} slides have no tiles more than "
                f"{self.far_mm:g} mm apart; their far partners come from other slides.",
            )
        unknown = int(np.isnan(self.places).any(axis=1).sum())
        if unknown:
            self.remarks += (
                f"{unknown} of {len(self.slides)} tiles have no place on their slide; they are "
                "near to themselves alone.",
            )

    def near_partners(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return for each tile one within `near_mm`: that nearest to a random place, or itself."""
        partner = np.arange(len(self.slides))
        for members, tree in zip(self._members, self._trees, strict=True):
            if tree is None:
                continue
            known = members[~np.isnan(self.places[members]).any(axis=1)]
            left = known
            for _ in range(_TRIES):
                radius = self.near_mm * np.sqrt(generator.random(len(left)))
                angle = 2 * np.pi * generator.random(len(left))
                aim = self.places[left] + radius[:, None] * np.stack(
                    [np.cos(angle), np.sin(angle)], axis=1
                )
                found = known[tree.query(aim)[1]]
                apart = np.linalg.norm(self.places[found] - self.places[left], axis=1)
                is_good = (apart <= self.near_mm) & (found != left)
                partner[left[is_good]] = found[is_good]
                left = left[~is_good]
                if not len(left):
                    break
        return partner

    def _far_partners(self, generator: np.random.Generator) -> NDArray[np.int64]:
        partner = np.arange(len(self.slides))
        for members in self._members:
            own = members[self._has_far[members]]
            if len(own):
                partner[own] = self._far_on_slide(own, members, generator)
            rest = members[~self._has_far[members]]
            if len(self._members) > 1:
                others = np.flatnonzero(self.slides != self.slides[members[0]])
                partner[rest] = generator.choice(others, len(rest))
        return partner

    def _far_on_slide(
        self, own: NDArray[np.int64], members: NDArray[np.int64], generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return partners beyond `far_mm`: by trial, then from a list of all there are."""
        chosen = generator.choice(members, (len(own), _TRIES))
        gaps = np.linalg.norm(self.places[chosen] - self.places[own][:, None], axis=2)
        is_good = gaps > self.far_mm
        partner: NDArray[np.int64] = chosen[np.arange(len(own)), is_good.argmax(axis=1)]
        for row in np.flatnonzero(~is_good.any(axis=1)):
            gap = np.linalg.norm(self.places[members] - self.places[own[row]], axis=1)
            partner[row] = generator.choice(members[gap > self.far_mm])
        return partner


def _tree(points: NDArray[np.float64]) -> KDTree | None:
    known = points[~np.isnan(points).any(axis=1)]
    return KDTree(known) if len(known) > 1 else None


def _outer(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points among which the farthest of any other is: the corners of the convex hull."""
    if len(points) <= _ALL_POINTS:
        return points
    from scipy.spatial import ConvexHull

    hull: NDArray[np.float64] = points[ConvexHull(points, qhull_options="QJ").vertices]
    return hull


def _farthest(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    longest: NDArray[np.float64] = cdist(points, others).max(axis=1)
    return longest
