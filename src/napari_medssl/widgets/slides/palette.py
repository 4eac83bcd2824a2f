"""The commands of "Slides" for napari's palette, see `widgets._palette`."""

from __future__ import annotations

from collections.abc import Callable

from napari_medssl.widgets._palette import Palette
from napari_medssl.widgets.slides.commands import COMMANDS
from napari_medssl.widgets.slides.widget import SlidesWidget


def _is_alive(widget: SlidesWidget) -> bool:
    return not widget.session.library.is_closed


PALETTE = Palette(__name__, "Slides", SlidesWidget, COMMANDS, _is_alive)


def __getattr__(name: str) -> Callable[[], None]:
    """Return the function of a command (PEP 562)."""
    return PALETTE.function(name)
