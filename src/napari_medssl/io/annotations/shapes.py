"""From the shapes of other tools to boxes: numbers that are numbers, and the bounds of outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from napari_medssl.io.boxes import Box

LIMIT = 1e9
"""Coordinates beyond this many pixels are a fault of the file."""

MAX_SIDE = 10_000_000
"""Width or height above which a stated image size is taken for a fault."""

Bounds = tuple[float, float, float, float]

_MAX_RUNS = 10_000_000


def as_number(value: Any) -> float | None:
    """Return `value` as a finite float of sensible size, None for anything else (text too)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before float(): a whole number of 400 digits does not fit one.
    return float(value) if -LIMIT <= value <= LIMIT else None


def as_side(value: Any) -> int:
    """Return `value` as an image side in pixels, 0 where it is none."""
    number = as_number(value)
    return int(number) if number is not None and 1 <= number <= MAX_SIDE else 0


def as_score(value: Any) -> float | None:
    """Return `value` as a score in [0, 1], None for anything else."""
    number = as_number(value)
    return number if number is not None and 0 <= number <= 1 else None


def has_area(bounds: Bounds) -> bool:
    """Say whether `bounds` (x0, y0, x1, y1) hold at least a sliver of picture."""
    return all(-LIMIT <= v <= LIMIT for v in bounds) and (
        bounds[2] > bounds[0] and bounds[3] > bounds[1]
    )


def numbers(values: Any) -> list[float] | None:
    """Return a list of numbers, None if `values` is no list or one of them is no number."""
    if not isinstance(values, list | tuple):
        return None
    found = [as_number(value) for value in values]
    return None if None in found else [value for value in found if value is not None]


def point_bounds(points: Any) -> Bounds | None:
    """Return the bounds of points [[x, y], ...], None if they are not that."""
    if not isinstance(points, list) or not points:
        return None
    pairs = [numbers(point) for point in points]
    if any(pair is None or len(pair) < 2 for pair in pairs):
        return None
    xs = [pair[0] for pair in pairs if pair]
    ys = [pair[1] for pair in pairs if pair]
    return min(xs), min(ys), max(xs), max(ys)


def circle_bounds(points: Any) -> Bounds | None:
    """Return the bounds of a circle given by its centre and a point on it."""
    pairs = [numbers(point) for point in points] if isinstance(points, list) else []
    if len(pairs) != 2 or not all(pair and len(pair) == 2 for pair in pairs):
        return None
    (x, y), (edge_x, edge_y) = (pair for pair in pairs if pair)
    radius = math.hypot(edge_x - x, edge_y - y)
    return x - radius, y - radius, x + radius, y + radius


def outline_bounds(segmentation: Any) -> Bounds | None:
    """Return the bounds of a COCO segmentation: polygons [[x, y, x, y, ...], ...] or a mask."""
    if isinstance(segmentation, dict):
        return mask_bounds(segmentation)
    if not isinstance(segmentation, list):
        return None
    rings = [numbers(ring) for ring in segmentation]
    sound = [ring for ring in rings if ring and len(ring) >= 6 and len(ring) % 2 == 0]
    if not sound:
        return None
    xs = [x for ring in sound for x in ring[::2]]
    ys = [y for ring in sound for y in ring[1::2]]
    return min(xs), min(ys), max(xs), max(ys)


def mask_bounds(mask: dict[str, Any]) -> Bounds | None:
    """Return the bounds of a run-length mask {"size": [rows, columns], "counts": ...}.

    The runs go down the columns, background first. Nothing is unpacked, so the claimed size of
    a mask costs nothing; None if the runs do not fill that size.
    """
    size, counts = numbers(mask.get("size")), mask.get("counts")
    if size is None or len(size) != 2 or min(size) < 1:
        return None
    rows = int(size[0])
    runs = _unpack_runs(counts) if isinstance(counts, str) else _plain_runs(counts)
    if runs is None or sum(runs) != rows * int(size[1]):
        return None
    left = right = top = bottom = -1
    start = 0
    for index, length in enumerate(runs):
        if index % 2 and length:
            first, last = divmod(start, rows), divmod(start + length - 1, rows)
            # A run over several columns touches the bottom of one and the top of the next.
            high, low = (first[1], last[1]) if first[0] == last[0] else (0, rows - 1)
            left = first[0] if left < 0 else left
            right, bottom = last[0], max(bottom, low)
            top = high if top < 0 else min(top, high)
        start += length
    return None if left < 0 else (float(left), float(top), right + 1.0, bottom + 1.0)


def make_box(bounds: Bounds, category: str, score: float | None = None, label: str = "") -> Box:
    """Return the box of `bounds` as they are."""
    return Box(*bounds, score=score, label=label, category=category)


def agree(first: Bounds, second: Bounds) -> bool:
    """Say whether two bounds are the same thing: edges within 2 px, or overlap above 0.8."""
    if all(abs(a - b) <= 2 for a, b in zip(first, second, strict=True)):
        return True
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(width, 0) * max(height, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    return common > 0.8 * (sum(areas) - common)


def _plain_runs(counts: Any) -> Sequence[int] | None:
    if not isinstance(counts, list) or len(counts) > _MAX_RUNS:
        return None
    sound = all(type(count) is int and count >= 0 for count in counts)
    return counts if sound else None


def _unpack_runs(text: str) -> list[int] | None:
    """Return the runs of a compressed mask.

    Each character carries five bits, lowest first; its sixth bit says that more follow, the
    fifth bit of the last is the sign. From the fourth run on, the difference to the run two
    before is stored.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        if runs[-1] < 0:
            return None
        value = shift = 0
    return None if shift else runs
