"""Gutters between neighbouring boxes: find them, and drag one so that all neighbours follow.

Dragging never makes boxes overlap that did not and never turns one inside out: the drag stops
where the first neighbour would become narrower than a pixel or meet another box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from napari_medssl.io.boxes import Box
from napari_medssl.state.layout_edit import MIN_SIZE, Axis

OVERLAP = 3.0


@dataclass(frozen=True, slots=True)
class Gutter:
    """A strip between boxes.

    `low` to `high` is its extent along `axis` in pixels, `start` to `stop` its length across.
    `before` holds the ids on the left or top of it, `after` those on the right or bottom.
    """

    axis: Axis
    low: float
    high: float
    start: float
    stop: float
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def middle(self) -> float:
        """The line in the middle of the strip."""
        return (self.low + self.high) / 2


@dataclass(frozen=True, slots=True)
class _Span:
    """A box seen along one axis: `low`, `high` along it, `start`, `stop` across it."""

    low: float
    high: float
    start: float
    stop: float


def _span(box: Box, axis: Axis) -> _Span:
    if axis == "x":
        return _Span(box.x0, box.x1, box.y0, box.y1)
    return _Span(box.y0, box.y1, box.x0, box.x1)


def _face(a: _Span, b: _Span) -> bool:
    return min(a.stop, b.stop) > max(a.start, b.start)


def _neighbours(spans: Mapping[int, _Span], max_gap: float) -> list[tuple[int, int]]:
    """Return pairs (before, after) that face each other with no third box between them."""
    pairs = []
    for i, a in spans.items():
        for j, b in spans.items():
            gap = b.low - a.high
            if i == j or not -OVERLAP <= gap <= max_gap or not _face(a, b):
                continue
            # Two slivers closer than the overlap allowed would count on both sides.
            if b.high - a.high < MIN_SIZE or b.low - a.low < MIN_SIZE:
                continue
            start, stop = max(a.start, b.start), min(a.stop, b.stop)
            if not any(
                _stands_between(spans[k], a, b, start, stop) for k in spans if k not in (i, j)
            ):
                pairs.append((i, j))
    return pairs


def _stands_between(c: _Span, a: _Span, b: _Span, start: float, stop: float) -> bool:
    return (
        c.start < stop
        and start < c.stop
        and c.low >= a.high - OVERLAP
        and c.high <= b.low + OVERLAP
    )


def find_gutters(boxes: Mapping[int, Box], max_gap: float = float("inf")) -> list[Gutter]:
    """Return all gutters between boxes that face each other.

    Boxes that share a neighbour across the strip belong to one gutter, so that a wide panel over
    two narrow ones has one gutter with both.

    Parameters
    ----------
    boxes
        Boxes by id.
    max_gap
        Widest strip that still counts, in pixels.
    """
    gutters = []
    axes: tuple[Axis, Axis] = ("x", "y")
    for axis in axes:
        spans = {key: _span(box, axis) for key, box in boxes.items()}
        for before, after in _components(_neighbours(spans, max_gap)):
            low = max(spans[key].high for key in before)
            high = min(spans[key].low for key in after)
            touched = [spans[key] for key in (*before, *after)]
            start, stop = min(s.start for s in touched), max(s.stop for s in touched)
            low, high = min(low, high), max(low, high)
            gutters.append(Gutter(axis, low, high, start, stop, before, after))
    return gutters


def _components(pairs: Iterable[tuple[int, int]]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Join the pairs that share a box on the same side."""
    parts: list[tuple[set[int], set[int]]] = []
    for i, j in pairs:
        before, after = {i}, {j}
        rest = []
        for part in parts:
            if i in part[0] or j in part[1]:
                before |= part[0]
                after |= part[1]
            else:
                rest.append(part)
        parts = [*rest, (before, after)]
    return [(tuple(sorted(before)), tuple(sorted(after))) for before, after in parts]


def gutter_near(
    gutters: Iterable[Gutter], x: float, y: float, tolerance: float = 0.0
) -> Gutter | None:
    """Return the gutter whose strip holds a point or lies within the tolerance, narrowest first."""
    hits = []
    for gutter in gutters:
        along, across = (x, y) if gutter.axis == "x" else (y, x)
        outside = max(gutter.low - along, along - gutter.high, 0.0)
        if outside <= tolerance and gutter.start <= across <= gutter.stop:
            hits.append((outside, gutter.high - gutter.low, gutter))
    return min(hits, key=lambda hit: hit[:2])[2] if hits else None


def drag_gutter(boxes: Mapping[int, Box], gutter: Gutter, shift: float) -> dict[int, Box]:
    """Return the neighbours of a gutter after it moved by `shift` pixels, by id.

    The near edges of the boxes on both sides move by the same amount, cut short where a box would
    become narrower than 1 px or meet a box that is no neighbour of the gutter.
    """
    spans = {key: _span(box, gutter.axis) for key, box in boxes.items()}
    highs, lows = _parted(spans, gutter)
    up, down = float("inf"), float("inf")
    for key, edge in highs.items():
        down = min(down, edge - spans[key].low - MIN_SIZE)
        up = min(up, _room(spans, key, edge, gutter.after, +1))
    for key, edge in lows.items():
        up = min(up, spans[key].high - edge - MIN_SIZE)
        down = min(down, _room(spans, key, edge, gutter.before, -1))
    shift = max(-max(down, 0.0), min(shift, max(up, 0.0)))
    near, far = ("x1", "x0") if gutter.axis == "x" else ("y1", "y0")
    moved = {key: replace(boxes[key], **{near: edge + shift}) for key, edge in highs.items()}  # type: ignore[arg-type]
    for key, edge in lows.items():
        moved[key] = replace(boxes[key], **{far: edge + shift})  # type: ignore[arg-type]
    return moved


def _parted(
    spans: Mapping[int, _Span], gutter: Gutter
) -> tuple[dict[int, float], dict[int, float]]:
    """Return the near edges of both sides, with the small overlaps of neighbours taken away."""
    lows = {key: spans[key].low for key in gutter.after}
    highs = {}
    for key in gutter.before:
        span = spans[key]
        facing = [
            low for k, low in lows.items() if _face(span, spans[k]) and low >= span.high - OVERLAP
        ]
        highs[key] = max(min([span.high, *facing]), span.low + MIN_SIZE)
    return highs, lows


def _room(
    spans: Mapping[int, _Span], key: int, edge: float, partners: tuple[int, ...], sign: int
) -> float:
    """Return how far an edge can go before it meets a box that does not move with it."""
    room = float("inf")
    for other, span in spans.items():
        if other == key or other in partners or not _face(spans[key], span):
            continue
        distance = span.low - edge if sign > 0 else edge - span.high
        if distance >= 0:
            room = min(room, distance)
    return room
