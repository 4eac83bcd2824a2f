"""The commands of "Landmarks" for napari's palette, see `widgets._palette`."""

from __future__ import annotations

from collections.abc import Callable

from napari_medssl.widgets._palette import Palette
from napari_medssl.widgets.landmarks.commands import COMMANDS
from napari_medssl.widgets.landmarks.widget import LandmarksWidget


def _is_alive(widget: LandmarksWidget) -> bool:
    return not widget.is_closed


PALETTE = Palette(__name__, "Landmarks", LandmarksWidget, COMMANDS, _is_alive)


def __getattr__(name: str) -> Callable[[], None]:
    """Return the function of a command (PEP 562)."""
    return PALETTE.function(name)
