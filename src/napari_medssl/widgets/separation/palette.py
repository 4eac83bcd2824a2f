"""The commands of "Figure separation" for napari's palette, see `widgets._palette`."""

from __future__ import annotations

from collections.abc import Callable

from napari_medssl.widgets._palette import Palette
from napari_medssl.widgets.separation.commands import COMMANDS
from napari_medssl.widgets.separation.widget import SeparationWidget


def _is_alive(widget: SeparationWidget) -> bool:
    return not widget.session.project.is_closed


PALETTE = Palette(__name__, "Figure separation", SeparationWidget, COMMANDS, _is_alive)


def __getattr__(name: str) -> Callable[[], None]:
    """Return the function of a command (PEP 562)."""
    return PALETTE.function(name)
