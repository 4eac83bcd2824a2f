"""Pictures of points: their density where there are too many to tell apart, dots where not.

Both are premultiplied ARGB, uint32, shape (Y, X), the way Qt draws fastest; the top row of a
picture is the upper edge of the plane. Nothing is kept here: all is made of arrays and values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.map_points import PointGrid
from napari_medssl.backend.map_view import Bounds, MapView

Picture = NDArray[np.uint32]
Color = tuple[int, int, int]

LEAST_SPACING = 1.7
"""Pixels between two rows, from which on they are dots."""
SIZES = (256, 512, 1024, 2048)
"""Cells of a side of the map, of which densities are made."""
_FAINTEST = 0.36  # opacity of one row alone in a cell
_FULL = 0.98  # share of the cells that are less than quite opaque
_DOT = 0.32  # radius of a dot, in distances between rows
_LEAST_RADIUS, _MOST_RADIUS = 0.9, 9.0
_OUTLINED = 3.0  # pixels of radius from which on a dot has an outline
_OUTLINE_SHARE = 0.55
_PLACED_FINELY = 1.8  # pixels of radius; smaller dots are placed to whole pixels
_PHASES = 4
_OVERLAPPING = 1.8  # pixels of radius from which on one sees which dot lies above
_MOST_STAMPS = 1_000_000


@dataclass(frozen=True, slots=True)
class DotStyle:
    """How dots look.

    Parameters
    ----------
    radius
        In pixels.
    outline
        Colour that tells a dot from the one beneath.
    outline_share
        How much of it there is, 0 to 1.
    outline_width
        In pixels.
    """

    radius: float
    outline: Color
    outline_share: float = _OUTLINE_SHARE
    outline_width: float = 1.0


def has_dots(grid: PointGrid, view: MapView, ratio: float = 1.0) -> bool:
    """Say whether a view is near enough for dots.

    It counts pixels of the screen, of which `ratio` are one of a widget.
    """
    return grid.spacing * view.scale >= LEAST_SPACING * ratio


def dot_radius(grid: PointGrid, view: MapView, ratio: float = 1.0) -> float:
    """Return the radius of the dots of a view in pixels: it grows as one comes nearer."""
    radius = _DOT * grid.spacing * view.scale
    return float(np.clip(radius, _LEAST_RADIUS * ratio, _MOST_RADIUS * ratio))


def density_size(extent: float) -> int:
    """Return the cells of a side for a map that is so many pixels wide: about one for each."""
    return next((size for size in SIZES if size * 1.4 >= extent), SIZES[-1])


def density_bounds(grid: PointGrid) -> Bounds:
    """Return the square that a density covers: the map with a little around it."""
    x0, y0, x1, y1 = grid.bounds
    half = max(x1 - x0, y1 - y0) / 2 * 1.01 or 0.5
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - half, y - half, x + half, y + half


def density_picture(
    grid: PointGrid, colors: NDArray[np.uint8], shown: NDArray[np.bool_] | None, size: int
) -> Picture:
    """Return how densely rows lie, in the mean colour of those in a cell.

    Opacity grows with the logarithm of the count. Colours are averaged by their light (the
    square, nearly), or a mixture would look darker than its parts.

    Parameters
    ----------
    grid
        The places.
    colors
        Of each row, shape (N, 3).
    shown
        Which rows count, shape (N,); all for None.
    size
        Cells of a side.
    """
    rows, x, y = grid.order, grid.xs, grid.ys
    if shown is not None:
        at = np.flatnonzero(shown[rows])
        rows, x, y = rows[at], x[at], y[at]
    x0, y0, x1, _ = density_bounds(grid)
    per_unit = size / (x1 - x0)
    cells = (size - 1 - ((y - y0) * per_unit).astype(np.int32)) * size
    cells += ((x - x0) * per_unit).astype(np.int32)
    counts = np.bincount(cells, minlength=size * size)
    filled = np.flatnonzero(counts)
    picture = np.zeros(size * size, np.uint32)
    if not len(filled):
        return picture.reshape(size, size)
    count = counts[filled].astype(np.float32)
    light = colors[rows].astype(np.float32) ** 2
    mean = np.empty((len(filled), 3), np.float32)
    for channel in range(3):
        total = np.bincount(cells, weights=light[:, channel], minlength=size * size)
        mean[:, channel] = np.sqrt(total[filled] / count)
    full = max(float(np.quantile(count, _FULL)), 4.0)
    opacity = np.minimum(np.log1p(count) / np.log1p(full), 1.0)
    opacity = _FAINTEST + (1 - _FAINTEST) * opacity
    picture[filled] = _packed(mean, opacity)
    return picture.reshape(size, size)


def dots_picture(
    grid: PointGrid,
    colors: NDArray[np.uint8],
    shown: NDArray[np.bool_] | None,
    view: MapView,
    style: DotStyle,
) -> Picture:
    """Return the rows of a view as round dots with smooth edges, the later rows above.

    A pixel shows the uppermost dot that covers it wholly, and above that the uppermost whose edge
    runs through it. Dots are placed to a quarter of a pixel.

    Parameters
    ----------
    grid, colors, shown
        As for `density_picture`.
    view
        Of the screen, whole pixels.
    style
        How they look.
    """
    height, width = round(view.height), round(view.width)
    reach = int(np.ceil(style.radius)) + 1
    at = _seen(grid, shown, view.widened(reach))
    if not len(at):
        return np.zeros((height, width), np.uint32)
    if style.radius >= _OVERLAPPING:  # smaller ones: in the order of the grid, which nobody sees
        at = at[np.argsort(grid.order[at])]
    rows = grid.order[at]
    places = np.stack([grid.xs[at], grid.ys[at]], axis=1)
    margin = 2 * reach + 1
    centres = view.to_screen(places) + margin
    canvas = (height + 2 * margin, width + 2 * margin)  # so that no stamp runs over its side
    inner, edge = _stamped(centres, style, canvas)
    picture = np.zeros(inner.size, np.uint32)
    filled = np.flatnonzero((inner >= 0) | (edge >= 0))
    inner, edge = inner[filled], edge[filled]
    color, rim = _opaque(colors[rows]), _outline(colors[rows], style)
    below = np.where(inner & 1, rim[inner >> 1], color[inner >> 1])
    below[inner < 0] = 0
    share = np.where(edge >> 8 > inner >> 1, (edge & 255) + 1, 0).astype(np.uint32)
    picture[filled] = _over(below, rim[edge >> 8], share)
    return picture.reshape(canvas)[margin:-margin, margin:-margin].copy()


def _seen(grid: PointGrid, shown: NDArray[np.bool_] | None, view: MapView) -> NDArray[np.int64]:
    """Return the positions in the grid of the rows that a view shows."""
    at = grid.inside(*view.bounds)
    return at if shown is None else at[shown[grid.order[at]]]


def _stamped(
    centres: NDArray[np.float64], style: DotStyle, shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return what covers each pixel.

    Returns
    -------
    inner
        Twice the number of the uppermost dot that covers the pixel wholly, one more if with its
        outline; -1 for none.
    edge
        256 times the number of the uppermost dot whose edge runs through it, and how much that
        covers, 0 to 255; -1 for none.
    """
    height, width = shape
    inner = np.full(height * width, -1, np.int32)
    edge = np.full(height * width, -1, np.int32)
    phases = _PHASES if style.radius >= _PLACED_FINELY else 1
    fine = np.floor(centres * phases).astype(np.int32)
    pixel = fine // phases
    first = pixel[:, 1] * width + pixel[:, 0]
    phase = (fine[:, 1] % phases) * phases + fine[:, 0] % phases
    for number in range(phases * phases):
        dots = np.flatnonzero(phase == number).astype(np.int32)
        if not len(dots):
            continue
        dy, dx = ((each + 0.5) / phases - 0.5 for each in divmod(number, phases))
        stamp = _stamp(style, dx, dy, width)
        _put(inner, first[dots], dots << 1, *stamp[:2])
        _put(edge, first[dots], dots << 8, *stamp[2:])
    return inner, edge


def _stamp(style: DotStyle, dx: float, dy: float, width: int) -> tuple[NDArray[np.int32], ...]:
    """Return the pixels of a dot at (dx, dy) of its pixel's middle, in a picture of a width.

    Returns
    -------
    inner_steps, is_rim
        How far the pixels that it covers lie from its own in the picture, and which are outline.
    edge_steps, cover
        Those that its edge runs through, and how much of them it covers, 0 to 255.
    """
    reach = int(np.ceil(style.radius + 0.5))
    steps = np.arange(-reach, reach + 1)
    away = np.hypot(steps - dx, (steps - dy)[:, None])
    place = (steps[:, None] * width + steps).astype(np.int32)
    cover = np.clip(style.radius + 0.5 - away, 0, 1)
    rim = style.radius - style.outline_width if style.radius >= _OUTLINED else np.inf
    whole, partly = cover >= 1, (cover > 0) & (cover < 1)
    shares = np.rint(cover[partly] * 255).astype(np.int32)
    return place[whole], (away[whole] > rim).astype(np.int32), place[partly], shares


def _put(
    picture: NDArray[np.int32],
    first: NDArray[np.int32],
    codes: NDArray[np.int32],
    steps: NDArray[np.int32],
    extra: NDArray[np.int32],
) -> None:
    """Stamp ascending codes into a picture in place; of several the largest stays."""
    most = max(1, _MOST_STAMPS // max(len(steps), 1))
    for begin in range(0, len(first), most):
        part = slice(begin, begin + most)
        there = first[part, None] + steps
        # Of equal indices the last one is written, which is the largest.
        picture[there] = np.maximum(picture[there], codes[part, None] + extra)


def _over(below: Picture, above: Picture, share: Picture) -> Picture:
    """Return colours with others above that cover `share` / 256 of them."""
    rest = 256 - share
    pairs = np.uint32(0x00FF00FF)  # two channels at once
    red_blue = ((below & pairs) * rest + (above & pairs) * share) >> 8 & pairs
    alpha_green = ((below >> 8 & pairs) * rest + (above >> 8 & pairs) * share) & ~pairs
    return np.asarray(red_blue | alpha_green)


def _opaque(color: NDArray[np.uint8]) -> Picture:
    """Return colours, shape (n, 3), as ARGB."""
    value = color.astype(np.uint32)
    return np.asarray(0xFF << 24 | value[:, 0] << 16 | value[:, 1] << 8 | value[:, 2])


def _outline(color: NDArray[np.uint8], style: DotStyle) -> Picture:
    """Return the colours of outlines, those of the dots where these are too small for any."""
    own = _opaque(color)
    if style.radius < _OUTLINED:
        return own
    line = _opaque(np.array([style.outline], np.uint8))
    return _over(own, line, np.full(1, round(256 * style.outline_share), np.uint32))


def _packed(color: NDArray[np.float32], opacity: NDArray[np.float32]) -> Picture:
    """Return colours, shape (n, 3), 0 to 255, and opacities as premultiplied ARGB."""
    value = np.rint(color * opacity[:, None]).astype(np.uint32)
    alpha = np.rint(opacity * 255).astype(np.uint32)
    return np.asarray(alpha << 24 | value[:, 0] << 16 | value[:, 1] << 8 | value[:, 2])
