"""What the map shows, drawn off the GUI thread: scene and view in, frame out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QImage

from napari_medssl.backend.map_points import PointGrid, Rows
from napari_medssl.backend.map_raster import (
    Color,
    DotStyle,
    Picture,
    density_bounds,
    density_picture,
    density_size,
    dot_radius,
    dots_picture,
    has_dots,
)
from napari_medssl.backend.map_thumbnails import rows_with_pictures
from napari_medssl.backend.map_view import Bounds, MapView

MARGIN = 64.0
"""Pixels around the view that are drawn too, so that panning does not lay bare the ground."""
_MOST_KEPT = 8
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All rows and how they look; arrays are never changed once they are in here.

    Parameters
    ----------
    grid
        Where the rows are.
    colors
        uint8, shape (N, 3).
    shown
        Which rows are drawn, shape (N,); None for all.
    selected
        Which of these are selected, shape (N,); None for none: then none fade either.
    has_pictures
        Whether rows have pictures.
    ground, ink
        The colours of the background and of what is written on it.
    """

    grid: PointGrid
    colors: NDArray[np.uint8]
    shown: Mask | None = None
    selected: Mask | None = None
    has_pictures: bool = False
    ground: Color = (255, 255, 255)
    ink: Color = (0, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A picture and the part of the plane that it covers."""

    image: QImage
    bounds: Bounds
    scale: float
    """Pixels of the screen, not of the picture, per unit of the plane."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What is shown of a scene.

    Parameters
    ----------
    scene, view
        What it was made of.
    kind
        "density" or "dots".
    base
        All rows that are shown.
    top
        The selected ones, if there are any.
    radius
        Of the dots, in pixels of a widget.
    picture_rows, picture_size
        Rows whose pictures are drawn, with their side in pixels of a widget.
    ratio
        Pixels of the screen to one of a widget.
    """

    scene: Scene
    view: MapView
    kind: str
    base: Layer
    top: Layer | None
    radius: float
    picture_rows: Rows
    picture_size: float
    ratio: float

    def fits(self, scene: Scene, view: MapView, ratio: float) -> bool:
        """Say whether it shows a scene as sharply as can be, and all that a view shows of it."""
        if self.scene is not scene or self.view.scale != view.scale or self.ratio != ratio:
            return False
        moved = self.view.x != view.x or self.view.y != view.y
        resized = self.view.width != view.width or self.view.height != view.height
        return self.kind == "density" or not (moved or resized)


class FrameDrawer:
    """Draws frames, one after the other, and keeps the densities: they hold at any place."""

    def __init__(self) -> None:
        self._densities: list[tuple[PointGrid, NDArray[np.uint8], Mask | None, int, Layer]] = []

    def draw(self, scene: Scene, view: MapView, ratio: float) -> Frame:
        """Return what a view shows of a scene.

        Parameters
        ----------
        scene
            The rows.
        view
            In pixels as widgets count them.
        ratio
            Pixels of the screen to one of these.
        """
        chosen = scene.selected
        fine = view.magnified(ratio)
        if not has_dots(scene.grid, fine, ratio):
            base = self._density(scene, scene.shown, fine)
            top = None if chosen is None else self._density(scene, chosen, fine)
            return Frame(scene, view, "density", base, top, 1.0, _NONE, 0.0, ratio)
        wide = view.widened(MARGIN).magnified(ratio)
        radius = dot_radius(scene.grid, fine, ratio)
        base = _dots(scene, scene.shown, wide, DotStyle(radius, scene.ground), ratio)
        top = None
        if chosen is not None:
            ring = DotStyle(radius, scene.ink, 0.7, ratio)
            top = _dots(scene, chosen, wide, ring, ratio)
        rows, size = _NONE, 0.0
        if scene.has_pictures:
            rows, size = rows_with_pictures(scene.grid, view, scene.shown, chosen)
        return Frame(scene, view, "dots", base, top, radius / ratio, rows, size, ratio)

    def _density(self, scene: Scene, shown: Mask | None, view: MapView) -> Layer:
        bounds = density_bounds(scene.grid)
        size = density_size((bounds[2] - bounds[0]) * view.scale)
        for number, (grid, colors, mask, kept_size, layer) in enumerate(self._densities):
            if grid is scene.grid and colors is scene.colors and size == kept_size:
                if mask is not shown:
                    continue
                self._densities.append(self._densities.pop(number))
                return layer
        picture = density_picture(scene.grid, scene.colors, shown, size)
        layer = Layer(_image(picture), bounds, size / (bounds[2] - bounds[0]))
        self._densities.append((scene.grid, scene.colors, shown, size, layer))
        del self._densities[:-_MOST_KEPT]
        return layer


_NONE = np.empty(0, np.int64)


def _dots(scene: Scene, shown: Mask | None, view: MapView, style: DotStyle, ratio: float) -> Layer:
    whole = replace(view, width=float(np.ceil(view.width)), height=float(np.ceil(view.height)))
    image = _image(dots_picture(scene.grid, scene.colors, shown, whole, style))
    image.setDevicePixelRatio(ratio)
    return Layer(image, whole.bounds, view.scale / ratio)


def _image(picture: Picture) -> QImage:
    """Return a picture as an image of its own."""
    height, width = picture.shape
    kind = QImage.Format.Format_ARGB32_Premultiplied
    return QImage(picture.data, width, height, 4 * width, kind).copy()
