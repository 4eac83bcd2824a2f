"""Split a compound figure along its gutters: the baseline that needs no training.

A recursive XY-cut (Nagy and Seth, 1984) over ink-free lines. We differ: the ground may be white,
grey or black, strips too thin to be a panel (titles, axis labels) join their neighbour, and a
gutter must be wide for its figure, so that a plot does not fall apart into its labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_medssl.methods.simcfs.evidence import LineEvidence

IntBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class GutterConfig:
    """Settings of the gutter splitter; lengths are shares of the figure's shorter side."""

    ink_step: int = 24  # a pixel further off the ground, in grey levels, is ink
    min_gutter: float = 0.008  # narrowest gutter
    min_panel: float = 0.12  # shortest side of a panel
    similar_gutter: float = 0.45  # gutters this wide, next to the widest, are cut with it
    speck: float = 0.002  # share of ink pixels in a line that are dirt, not ink


def ground_color(image: np.ndarray) -> np.ndarray:
    """Return the colour of the canvas, shape (3,): the commonest colour of the outer ring.

    `image` is (Y, X, 3) uint8. Where the ring has no common colour (panels up to the border) it
    is white, the usual canvas.
    """
    sides = (image[:2], image[-2:], image[:, :2], image[:, -2:])
    ring = np.concatenate([side.reshape(-1, 3) for side in sides])
    coarse = (ring >> 4).astype(np.int32) @ np.array([256, 16, 1])
    values, counts = np.unique(coarse, return_counts=True)
    best = int(np.argmax(counts))
    if counts[best] < 0.4 * len(ring):
        return np.full(3, 255, np.uint8)
    return np.asarray(np.median(ring[coarse == values[best]], axis=0)).astype(np.uint8)


def ink_mask(image: np.ndarray, step: int = 24) -> np.ndarray:
    """Return where an image (Y, X, 3) is more than `step` levels off its canvas, shape (Y, X)."""
    ground = ground_color(image)
    low = np.clip(ground.astype(int) - step, 0, 255).astype(np.uint8)
    high = np.clip(ground.astype(int) + step, 0, 255).astype(np.uint8)
    return np.asarray(((image < low) | (image > high)).any(axis=2))


def split_by_gutters(image: np.ndarray, config: GutterConfig | None = None) -> list[IntBox]:
    """Return the panels of a figure as boxes `(x0, y0, x1, y1)`, half open, in reading order.

    `image` is (Y, X, 3) uint8. Boxes are trimmed to ink. A blank image has no panel.
    """
    config = config or GutterConfig()
    ink = ink_mask(image, config.ink_step)
    side = min(ink.shape)
    gutter = max(3, round(config.min_gutter * side))
    panel = max(8, round(config.min_panel * side))
    rules = _Rules(gutter, panel, config.similar_gutter, config.speck)
    boxes = _cut(ink, (0, 0, ink.shape[1], ink.shape[0]), rules)
    if len(boxes) > 1:
        large = [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= panel // 2]
        boxes = large or boxes
    return sorted(boxes, key=lambda box: (box[1], box[0]))


@dataclass(frozen=True)
class GutterLine:
    """A straight line that may part two panels: a blank strip, or the edge where panels touch.

    `axis` 0 is a vertical line, 1 a horizontal one. `start` to `stop` is the strip across the line,
    half open and equal where panels touch; `low` to `high` is the stretch along it. `support` is
    the share of the stretch that is blank or has a step across it.
    """

    axis: int
    start: int
    stop: int
    low: int
    high: int
    support: float

    @property
    def middle(self) -> float:
        """Coordinate of the line."""
        return (self.start + self.stop) / 2


@dataclass(frozen=True)
class GutterLineConfig:
    """Settings of the search for gutter lines."""

    dirt: float = 0.004  # share of a blank line that may be noise
    least_step: float = 0.6  # share of a touching edge with a step across it
    step_contrast: float = 3.0  # steps of an edge over the usual steps of its region
    least_strip: int = 3  # narrowest blank strip in pixels without an edge on its side
    least_part: float = 0.08  # smallest part to search further, share of the figure's sides
    depth: int = 3


def gutter_lines(
    image: np.ndarray | LineEvidence, config: GutterLineConfig | None = None
) -> list[GutterLine]:
    """Return the lines that may part panels, those across the whole figure first.

    The figure is cut at the lines found across it, and each part is searched again, so that a
    line has the length over which it holds. These are candidates to snap to, not a separation:
    the margin of a plot and the dark rim of a scan are lines too.
    """
    evidence = image if isinstance(image, LineEvidence) else LineEvidence.of(image)
    whole = (0, 0, evidence.width, evidence.height)
    config = config or GutterLineConfig()
    return list(_lines_within(evidence, whole, config, config.depth))


def _lines_within(
    evidence: LineEvidence, region: IntBox, config: GutterLineConfig, depth: int
) -> Iterator[GutterLine]:
    """Give the lines across `region`, then those of its parts."""
    found = [_lines_across(evidence, region, axis, config) for axis in (0, 1)]
    # cut along the direction that is surest; the other one is seen again in every part
    axis = max((0, 1), key=lambda a: sum(line.stop - line.start + 1 for line in found[a]))
    lines = found[axis]
    if not lines or not depth:
        return
    yield from lines
    bounds = [region[axis], *(edge for line in lines for edge in (line.start, line.stop))]
    bounds.append(region[axis + 2])
    for start, stop in zip(bounds[::2], bounds[1::2], strict=True):
        if stop - start < config.least_part * evidence.length(axis):
            continue
        part = (
            (start, region[1], stop, region[3])
            if axis == 0
            else (region[0], start, region[2], stop)
        )
        yield from _lines_within(evidence, part, config, depth - 1)


def _lines_across(
    evidence: LineEvidence, region: IntBox, axis: int, config: GutterLineConfig
) -> list[GutterLine]:
    """Return the lines of one direction that run through the whole region, sorted, disjoint."""
    first, last = region[axis], region[axis + 2]
    low, high = np.array(region[1 - axis]), np.array(region[3 - axis])
    columns = np.arange(first, last)
    steps = evidence.step_share(axis, np.arange(first, last + 1), low, high)  # (L + 1,)
    blank = evidence.change_share(axis, columns, low, high) <= config.dirt  # (L,)
    is_edge = steps >= max(config.least_step, config.step_contrast * float(np.median(steps)))
    is_edge[[0, -1]] = False
    strips = [
        (a, b)
        for a, b in _runs(blank)
        if a > 0 and b < len(blank) and (b - a >= config.least_strip or is_edge[a] or is_edge[b])
    ]
    near = np.zeros(len(steps), bool)
    for a, b in strips:  # the frame of a panel beside a strip is no line of its own
        near[max(0, a - 3) : b + 4] = True
    edges = [
        (at, at)
        for at in np.flatnonzero(is_edge & ~near).tolist()
        if at == max(0, at - 3) + int(np.argmax(steps[max(0, at - 3) : at + 4]))
    ]
    stretch = (int(low), int(high))
    return [
        GutterLine(axis, first + a, first + b, *stretch, 1.0 if b > a else float(steps[a]))
        for a, b in sorted(strips + edges)
    ]


@dataclass(frozen=True)
class _Rules:
    gutter: int
    panel: int
    similar: float
    speck: float


def _has_ink(ink: np.ndarray, axis: int, speck: float) -> np.ndarray:
    """Return which lines across `axis` carry more ink than dirt."""
    return np.asarray(ink.sum(axis=axis) > speck * ink.shape[axis])


def _trim(ink: np.ndarray, box: IntBox, speck: float) -> IntBox | None:
    """Return `box` shrunk to its ink, None if it has none."""
    x0, y0, x1, y1 = box
    columns = np.flatnonzero(_has_ink(ink[y0:y1, x0:x1], 0, speck))
    rows = np.flatnonzero(_has_ink(ink[y0:y1, x0:x1], 1, speck))
    if not len(columns) or not len(rows):
        return None
    x0, x1 = x0 + int(columns[0]), x0 + int(columns[-1]) + 1
    return x0, y0 + int(rows[0]), x1, y0 + int(rows[-1]) + 1


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return the runs of True as (start, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _pieces(has_ink: np.ndarray, rules: _Rules) -> tuple[list[tuple[int, int]], int]:
    """Return the stretches between the wide gutters of one profile, and the widest gutter."""
    gaps = [(a, b) for a, b in _runs(~has_ink) if b - a >= rules.gutter]
    widest = max((b - a for a, b in gaps), default=0)
    gaps = [(a, b) for a, b in gaps if b - a >= rules.similar * widest]
    bounds = [0, *[value for gap in gaps for value in gap], len(has_ink)]
    pieces = [(bounds[i], bounds[i + 1]) for i in range(0, len(bounds), 2)]
    return _join_strips(pieces, rules.panel), widest


def _join_strips(pieces: list[tuple[int, int]], smallest: int) -> list[tuple[int, int]]:
    """Join each stretch shorter than `smallest` to the neighbour across the narrower gutter."""
    pieces = list(pieces)
    while len(pieces) > 1:
        short = min(range(len(pieces)), key=lambda i: pieces[i][1] - pieces[i][0])
        if pieces[short][1] - pieces[short][0] >= smallest:
            break
        before = pieces[short][0] - pieces[short - 1][1] if short else np.inf
        after = pieces[short + 1][0] - pieces[short][1] if short + 1 < len(pieces) else np.inf
        first = short - 1 if before <= after else short
        pieces[first : first + 2] = [(pieces[first][0], pieces[first + 1][1])]
    return pieces


def _cut(ink: np.ndarray, box: IntBox, rules: _Rules) -> list[IntBox]:
    """Cut `box` along the direction of its widest gutter until none is left."""
    trimmed = _trim(ink, box, rules.speck)
    if trimmed is None:
        return []
    x0, y0, x1, y1 = trimmed
    window = ink[y0:y1, x0:x1]
    columns, width = _pieces(_has_ink(window, 0, rules.speck), rules)
    rows, height = _pieces(_has_ink(window, 1, rules.speck), rules)
    parts: list[IntBox] = []
    if len(columns) > 1 and (width >= height or len(rows) < 2):
        parts = [(x0 + a, y0, x0 + b, y1) for a, b in columns]
    elif len(rows) > 1:
        parts = [(x0, y0 + a, x1, y0 + b) for a, b in rows]
    if not parts:
        return [trimmed]
    return [panel for part in parts for panel in _cut(ink, part, rules)]
