"""Where panels stand in a compound figure: row-restricted, column-restricted, grid and irregular.

Row- and column-restricted layouts are the two families of SimCFS-AUG (papers: panels of one row
share the height, panels of one column the width); grids and irregular layouts are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rng = np.random.Generator
Cell = tuple[float, float, float, float]


@dataclass(frozen=True)
class Layout:
    """Cells `(x0, y0, x1, y1)` inside a content area of `width` x `height` pixels.

    `rows` and `columns` are set for a regular grid only: headings need them.
    """

    width: float
    height: float
    cells: tuple[Cell, ...]
    rows: int = 0
    columns: int = 0

    def scaled(self, s: float) -> Layout:
        """Return the layout `s` times as large."""
        cells = tuple((x0 * s, y0 * s, x1 * s, y1 * s) for x0, y0, x1, y1 in self.cells)
        return Layout(self.width * s, self.height * s, cells, self.rows, self.columns)


def grid(rng: Rng, width: float, count: int, gap: float, columns: int | None = None) -> Layout:
    """Equal cells; the last row may be incomplete, and sometimes a cell is left empty."""
    if columns is None:
        columns = int(np.clip(round(np.sqrt(count) * rng.uniform(0.6, 1.9)), 1, count))
    rows = int(np.ceil(count / columns))
    aspect = float(rng.uniform(0.65, 1.6) if columns > 1 else rng.uniform(2.0, 4.5))
    cell_width = (width - gap * (columns - 1)) / columns
    cell_height = cell_width / aspect
    cells = []
    for k in range(count):
        r, c = divmod(k, columns)
        x, y = c * (cell_width + gap), r * (cell_height + gap)
        cells.append((x, y, x + cell_width, y + cell_height))
    if count > 4 and rng.random() < 0.1:
        cells.pop(int(rng.integers(len(cells))))
    height = rows * cell_height + (rows - 1) * gap
    return Layout(width, height, tuple(cells), rows, columns)


def row_restricted(rng: Rng, width: float, count: int, gap: float) -> Layout:
    """Rows of panels of one height each; every row fills the width, or is left ragged."""
    row_count = int(np.clip(round(np.sqrt(count) * rng.uniform(0.6, 1.4)), 1, count))
    sizes = _parts(rng, count, row_count)
    ragged = rng.random() < 0.2
    common = rng.uniform(0.7, 1.5) if ragged else 0.0
    cells: list[Cell] = []
    y = 0.0
    widest = max(sizes)
    for size in sizes:
        aspects = np.full(size, common) if ragged else rng.uniform(0.55, 2.0, size)
        per_row = widest if ragged else size
        height = (width - gap * (per_row - 1)) / (common * widest if ragged else aspects.sum())
        height = min(height, width * 0.75)
        x = 0.0
        for aspect in aspects:
            cells.append((x, y, x + height * aspect, y + height))
            x += height * aspect + gap
        y += height + gap
    return Layout(width, y - gap, tuple(cells))


def column_restricted(rng: Rng, width: float, count: int, gap: float) -> Layout:
    """Columns of panels of one width each: a row-restricted layout turned."""
    turned = row_restricted(rng, width, count, gap)
    cells = tuple((y0, x0, y1, x1) for x0, y0, x1, y1 in turned.cells)
    return Layout(turned.height, turned.width, cells)


def irregular(rng: Rng, width: float, count: int, gap: float) -> Layout:
    """Cut the area again and again, across or down, so that panels span rows and columns."""
    height = width * rng.uniform(0.45, 1.3)
    cells: list[Cell] = [(0.0, 0.0, width, height)]
    while len(cells) < count:
        area = [(c[2] - c[0]) * (c[3] - c[1]) for c in cells]
        k = int(np.argmax(np.array(area) * rng.uniform(0.4, 1.0, len(cells))))
        x0, y0, x1, y1 = cells.pop(k)
        at = rng.uniform(0.3, 0.7) if rng.random() < 0.6 else 0.5
        if (x1 - x0) > (y1 - y0) * rng.uniform(0.6, 1.6):
            cut = x0 + at * (x1 - x0)
            cells += [(x0, y0, cut - gap / 2, y1), (cut + gap / 2, y0, x1, y1)]
        else:
            cut = y0 + at * (y1 - y0)
            cells += [(x0, y0, x1, cut - gap / 2), (x0, cut + gap / 2, x1, y1)]
    return Layout(width, height, tuple(cells))


def nested(rng: Rng, width: float, count: int, gap: float) -> Layout:
    """An irregular layout in which one cell holds a grid of its own."""
    outer = irregular(rng, width, max(2, count // 3), gap)
    cells = list(outer.cells)
    k = int(np.argmax([(c[2] - c[0]) * (c[3] - c[1]) for c in cells]))
    x0, y0, x1, y1 = cells.pop(k)
    inner = max(2, count - len(cells))
    columns = int(np.clip(round(np.sqrt(inner * (x1 - x0) / max(1.0, y1 - y0))), 1, inner))
    rows = int(np.ceil(inner / columns))
    small = min(gap, 8.0)
    w, h = (x1 - x0 - small * (columns - 1)) / columns, (y1 - y0 - small * (rows - 1)) / rows
    for j in range(rows):
        for i in range(columns):
            x, y = x0 + i * (w + small), y0 + j * (h + small)
            cells.append((x, y, x + w, y + h))
    return Layout(outer.width, outer.height, tuple(cells))


def draw_layout(
    rng: Rng, kind: str, width: float, count: int, gap: float, *, columns: int | None = None
) -> Layout:
    """Return a layout of `kind`: "grid", "rows", "columns", "irregular" or "nested".

    `columns` sets the columns of a grid.
    """
    if kind == "grid":
        return grid(rng, width, count, gap, columns)
    make = {
        "rows": row_restricted,
        "columns": column_restricted,
        "irregular": irregular,
        "nested": nested,
    }
    return make[kind](rng, width, count, gap)


def in_reading_order(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Sort cells by rows from the top, then from the left."""
    return tuple(sorted(cells, key=lambda c: (round(c[1] / 12), c[0])))


def _parts(rng: Rng, total: int, parts: int) -> list[int]:
    """Split `total` into `parts` positive whole numbers of similar size."""
    sizes = np.full(parts, total // parts)
    sizes[: total % parts] += 1
    for _ in range(parts):
        i, j = rng.integers(parts, size=2)
        if sizes[i] > 1 and rng.random() < 0.4:
            sizes[i] -= 1
            sizes[j] += 1
    rng.shuffle(sizes)
    return [int(s) for s in sizes]
