"""Edits of several boxes at once, as pure functions: grids, merging, splitting, gutters, snapping.

A gutter is the strip between neighbouring boxes. Axis "x" means that the strip is vertical and
moves along x, axis "y" that it is horizontal and moves along y.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from napari_medssl._errors import UserError
from napari_medssl.io.boxes import Box

Axis = Literal["x", "y"]
MAX_GRID = 400
MIN_SIZE = 1.0
_GRID = re.compile(r"\s*(\d{1,3})\s*[xX*×]\s*(\d{1,3})\s*")


def parse_grid(text: str) -> tuple[int, int]:
    """Return columns and rows of a text such as "4x3": 4 columns, 3 rows.

    Raises
    ------
    UserError
        If the text is not of that form or asks for none or more than 400 boxes.
    """
    match = _GRID.fullmatch(text)
    columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= columns * rows <= MAX_GRID:
        raise UserError(
            f"The grid is {text!r}, expected columns x rows with 1 to {MAX_GRID} boxes. "
            "Type for example 4x3."
        )
    return columns, rows


def lay_grid(region: Box, columns: int, rows: int, gap: float = 0.0) -> list[Box]:
    """Return `columns` x `rows` boxes that fill a region row by row, edges on whole pixels.

    Parameters
    ----------
    region
        Rectangle to fill.
    columns, rows
        How many boxes in each direction.
    gap
        Pixels between neighbours.

    Raises
    ------
    UserError
        If the region is too small for boxes of 1 px.
    """
    if min(
        (region.width - gap * (columns - 1)) / columns, (region.height - gap * (rows - 1)) / rows
    ) < max(1.0, MIN_SIZE):
        raise UserError(
            f"A grid of {columns} x {rows} boxes with gaps of {gap:g} px does not fit in "
            f"{region.width:g} x {region.height:g} px. Choose a larger rectangle or fewer boxes."
        )
    xs = _spans(region.x0, region.x1, columns, gap)
    ys = _spans(region.y0, region.y1, rows, gap)
    return [Box(x0, y0, x1, y1) for y0, y1 in ys for x0, x1 in xs]


def _spans(low: float, high: float, count: int, gap: float) -> list[tuple[float, float]]:
    step = (high - low + gap) / count
    starts = [low + index * step for index in range(count)]
    return [(float(round(a)), max(round(a) + 1.0, float(round(a + step - gap)))) for a in starts]


def merge(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around all; label and category are the first's, score is None.

    Raises
    ------
    UserError
        If there are fewer than two boxes.
    """
    chosen = list(boxes)
    if len(chosen) < 2:
        raise UserError(f"Merging needs two boxes or more, {len(chosen)} selected. Select more.")
    return replace(
        chosen[0],
        x0=min(box.x0 for box in chosen),
        y0=min(box.y0 for box in chosen),
        x1=max(box.x1 for box in chosen),
        y1=max(box.y1 for box in chosen),
        score=None,
    )


def split(box: Box, axis: Axis, low: float, high: float | None = None) -> tuple[Box, Box]:
    """Return the two parts of a box on both sides of a strip that is given up.

    Parameters
    ----------
    box
        Box to cut. The first part keeps its label.
    axis
        "x": a vertical cut into left and right; "y": a horizontal cut into top and bottom.
    low, high
        The strip in pixels. Without `high` the cut has no width.

    Raises
    ------
    UserError
        If a part would be less than 1 px wide.
    """
    high = low if high is None else high
    start, stop = (box.x0, box.x1) if axis == "x" else (box.y0, box.y1)
    if low > high or low - start < MIN_SIZE or stop - high < MIN_SIZE:
        raise UserError(
            f"The cut at {axis} = {low:g} leaves nothing of the box from {start:g} to {stop:g}. "
            "Put the cursor inside the box."
        )
    blank = replace(box, label="", score=None)
    if axis == "x":
        return replace(box, x1=low, score=None), replace(blank, x0=high)
    return replace(box, y1=low, score=None), replace(blank, y0=high)


def gutter_at(lines: Iterable[tuple[float, float]], value: float) -> tuple[float, float] | None:
    """Return the strip `(low, high)` among `lines` that holds a coordinate, None if none does."""
    return next(((low, high) for low, high in lines if low <= value <= high), None)


def snap(value: float, lines: Iterable[float], tolerance: float) -> float:
    """Return the nearest of the lines if it lies within the tolerance, else the value itself."""
    nearest = min(lines, key=lambda line: abs(line - value), default=value)
    return nearest if abs(nearest - value) <= tolerance else value


def snap_box(
    box: Box,
    lines: Mapping[Axis, Sequence[float]],
    tolerance: float,
    edges: Iterable[str] = ("x0", "y0", "x1", "y1"),
) -> Box:
    """Return the box with some edges moved to near lines; an edge that would invert it stays."""
    values: dict[str, float] = {}
    for edge in edges:
        axis: Axis = "x" if edge[0] == "x" else "y"
        values[edge] = snap(getattr(box, edge), lines.get(axis, ()), tolerance)
    snapped = replace(box, **values)  # type: ignore[arg-type]
    if snapped.width < MIN_SIZE:
        snapped = replace(snapped, x0=box.x0, x1=box.x1)
    if snapped.height < MIN_SIZE:
        snapped = replace(snapped, y0=box.y0, y1=box.y1)
    return snapped


# -- reading order -------------------------------------------------------------------------------


def letter(index: int) -> str:
    """Return the panel letter of a place in reading order: 0 is a, 25 is z, 26 is aa."""
    if index < 0:
        raise ValueError(f"index is {index!r}, must be 0 or more")
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def letters_in_order(boxes: Mapping[int, Box]) -> dict[int, str]:
    """Return a, b, c ... for each id, in reading order."""
    return {key: letter(index) for index, key in enumerate(reading_order(boxes))}


def reading_order(boxes: Mapping[int, Box]) -> list[int]:
    """Return the ids row by row, left to right; a box that spans rows is read with its column.

    The boxes are cut apart recursively, by a horizontal line where one fits between them, else
    by a vertical one. Overlaps of up to a tenth of the smaller box are overlooked.
    """
    return _cut(dict(boxes))


def _cut(boxes: dict[int, Box]) -> list[int]:
    if len(boxes) < 2:
        return list(boxes)
    for axis in ("y", "x"):
        groups = _groups(boxes, axis)
        if len(groups) > 1:
            return [key for group in groups for key in _cut({k: boxes[k] for k in group})]
    return sorted(boxes, key=lambda key: (boxes[key].y0, boxes[key].x0, key))


def _groups(boxes: Mapping[int, Box], axis: str) -> list[list[int]]:
    """Group the ids by the lines that cross no box."""
    spans = {}
    for key, box in boxes.items():
        low, high = (box.y0, box.y1) if axis == "y" else (box.x0, box.x1)
        slack = 0.1 * (high - low)
        spans[key] = (low + slack, high - slack)
    groups: list[list[int]] = []
    reach = float("-inf")
    for key in sorted(spans, key=lambda k: (spans[k], k)):
        if spans[key][0] >= reach:
            groups.append([])
        groups[-1].append(key)
        reach = max(reach, spans[key][1])
    return groups
