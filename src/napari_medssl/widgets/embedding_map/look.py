"""The colours of the map in a dark and in a light theme, taken from the palette of the widget."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtGui import QColor, QPalette

from napari_medssl.backend.map_raster import Color

_DARK_GROUND = (22, 24, 29)
_LIGHT_GROUND = (252, 252, 253)


@dataclass(frozen=True, slots=True)
class Look:
    """Colours, and how much of the rows that are not selected remains.

    Parameters
    ----------
    is_dark
        Whether the ground is.
    ground
        Behind the points.
    ink
        Rings, words and the outline of a lasso.
    faded
        Opacity of what is not selected while something is.
    """

    is_dark: bool
    ground: Color
    ink: Color
    faded: float

    @property
    def ground_color(self) -> QColor:
        """The ground for Qt."""
        return QColor(*self.ground)

    @property
    def ink_color(self) -> QColor:
        """The ink for Qt."""
        return QColor(*self.ink)


def look_of(palette: QPalette) -> Look:
    """Return the look that goes with the theme in which a widget is drawn."""
    text = palette.color(QPalette.ColorRole.WindowText)
    is_dark = text.lightness() > palette.color(QPalette.ColorRole.Window).lightness()
    if is_dark:
        return Look(True, _DARK_GROUND, (244, 245, 247), 0.16)
    return Look(False, _LIGHT_GROUND, (28, 30, 36), 0.20)
