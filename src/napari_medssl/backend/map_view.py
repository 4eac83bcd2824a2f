"""Which part of the plane a map shows: pixels to places and back.

The plane's y points up, the screen's down. A view is a value: moving it makes another one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bounds = tuple[float, float, float, float]
"""x0, y0, x1, y1 on the plane."""


@dataclass(frozen=True, slots=True)
class MapView:
    """A rectangle of the plane on a screen.

    Parameters
    ----------
    x, y
        The place in the middle.
    scale
        Pixels per unit of the plane.
    width, height
        Size of the screen in pixels.
    """

    x: float
    y: float
    scale: float
    width: float
    height: float

    @property
    def bounds(self) -> Bounds:
        """The part of the plane that is seen."""
        half_x, half_y = self.width / 2 / self.scale, self.height / 2 / self.scale
        return self.x - half_x, self.y - half_y, self.x + half_x, self.y + half_y

    def to_screen(self, places: ArrayLike) -> NDArray[np.float64]:
        """Return where places, shape (..., 2), are on the screen, in pixels."""
        away = (np.asarray(places, np.float64) - (self.x, self.y)) * (self.scale, -self.scale)
        return np.asarray(away + np.array([self.width / 2, self.height / 2]))

    def to_plane(self, x: float, y: float) -> tuple[float, float]:
        """Return the place under a pixel of the screen."""
        return (
            self.x + (x - self.width / 2) / self.scale,
            self.y - (y - self.height / 2) / self.scale,
        )

    def dragged(self, dx: float, dy: float) -> MapView:
        """Return the view after what it shows was moved by pixels to the right and down."""
        return replace(self, x=self.x - dx / self.scale, y=self.y + dy / self.scale)

    def zoomed(self, factor: float, x: float, y: float) -> MapView:
        """Return a larger view (`factor` > 1) in which the place under a pixel stays there."""
        at_x, at_y = self.to_plane(x, y)
        return replace(
            self,
            x=at_x + (self.x - at_x) / factor,
            y=at_y + (self.y - at_y) / factor,
            scale=self.scale * factor,
        )

    def sized(self, width: float, height: float) -> MapView:
        """Return the view on a screen of another size, with the same middle and scale."""
        return replace(self, width=width, height=height)

    def magnified(self, ratio: float) -> MapView:
        """Return the same part of the plane on a screen of `ratio` times as many pixels."""
        return MapView(self.x, self.y, self.scale * ratio, self.width * ratio, self.height * ratio)

    def widened(self, margin: float) -> MapView:
        """Return a view that shows some pixels more on every side."""
        return replace(self, width=self.width + 2 * margin, height=self.height + 2 * margin)

    def shows(self, bounds: Bounds) -> bool:
        """Say whether all of a part of the plane is seen."""
        x0, y0, x1, y1 = self.bounds
        return x0 <= bounds[0] and y0 <= bounds[1] and bounds[2] <= x1 and bounds[3] <= y1


def fitting_view(bounds: Bounds, width: float, height: float, margin: float = 24.0) -> MapView:
    """Return the view that shows all of a part of the plane, with some pixels around it.

    A single place, which has no extent, is shown as if it were one unit wide.
    """
    x0, y0, x1, y1 = bounds
    inner_width, inner_height = max(width - 2 * margin, 1.0), max(height - 2 * margin, 1.0)
    scales = [
        inner / extent
        for inner, extent in ((inner_width, x1 - x0), (inner_height, y1 - y0))
        if extent > 0
    ]
    scale = min(scales, default=min(inner_width, inner_height))
    return MapView((x0 + x1) / 2, (y0 + y1) / 2, scale, width, height)


def bounds_of(places: NDArray[np.float32]) -> Bounds:
    """Return the smallest rectangle that holds all finite places, shape (N, 2).

    Without any it is that from (0, 0) to (1, 1).
    """
    x, y = places[:, 0], places[:, 1]
    has_place = np.isfinite(x) & np.isfinite(y)
    if not has_place.any():
        return 0.0, 0.0, 1.0, 1.0
    if not has_place.all():
        x, y = x[has_place], y[has_place]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
