"""In which order to look at points and images: the least certain first; and how far one is."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medssl.state.landmark_items import Point, Tally
from napari_medssl.state.landmarks import LandmarkStore, PointId

UNCERTAINTY_OF_ABSENT = 0.5
"""What a look at a point is worth that the program says is not in the image."""


def uncertainty(point: Point) -> float:
    """Return how little is known of a point, 0 to 1: what a look at it is worth.

    A found point of score p is wrong with probability 1 - p. Where a person decided, or picked a
    place without confirming it, nothing or little is left; an undefined point is worth a full look.
    """
    if point.is_decided:
        return 0.0
    if point.state == "undefined":
        return 1.0
    if point.state == "absent":
        return UNCERTAINTY_OF_ABSENT
    return 1.0 - (1.0 if point.score is None else point.score)


def ranked_points(store: LandmarkStore) -> list[PointId]:
    """Return the points that nobody has decided about, the least certain first.

    Undefined points come last: without a template the program has nothing to say about them, and
    looking for them is placing, not checking. Ties are in the order of images and of the list.
    """
    open_points = [
        point
        for image in store.images()
        for point in store.points_of(image)
        if not point.is_decided
    ]
    open_points.sort(key=lambda point: (point.state == "undefined", -uncertainty(point)))
    return [(point.image, point.name) for point in open_points]


def next_point(store: LandmarkStore, after: PointId | None, by: int = 1) -> PointId | None:
    """Return the point to look at after one, `by` steps on (negative: back), round at the end.

    None if all are decided about. A point that has just been decided about counts as what stood
    at its place by its former rank is not known any more: the least certain one comes next.
    """
    ranked = ranked_points(store)
    if not ranked:
        return None
    if after not in ranked:
        return ranked[0 if by > 0 else -1]
    return ranked[(ranked.index(after) + by) % len(ranked)]


def image_uncertainty(store: LandmarkStore, image: int) -> float:
    """Return what a look at an image is worth: the sum over its points."""
    return tally(store, image).doubt


def tally(store: LandmarkStore, image: int) -> Tally:
    """Return what the points of an image add up to."""
    known = store.tallies.get(image)
    if known is None:
        points = store.points_of(image)
        known = store.tallies[image] = Tally(
            sum(point.is_decided for point in points),
            sum(not p.is_decided and p.state != "undefined" for p in points),
            sum(uncertainty(point) for point in points),
        )
    return known


@dataclass(frozen=True, slots=True)
class LandmarkProgress:
    """How many points there are, and how many a person has decided about."""

    total: int
    decided: int
    found: int

    @property
    def text(self) -> str:
        """The same in words."""
        if not self.total:
            return "no landmarks yet"
        share = 100 * self.decided // self.total
        return f"{self.decided} of {self.total} points checked ({share} %), {self.found} to check"


def progress(store: LandmarkStore, image: int | None = None) -> LandmarkProgress:
    """Return how far the points of an image are, or those of all images."""
    told = [tally(store, key) for key in (store.images() if image is None else (image,))]
    total = len(told) * len(store.names())
    return LandmarkProgress(total, sum(t.decided for t in told), sum(t.found for t in told))
