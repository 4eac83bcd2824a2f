"""The commands of "Segmentation" for napari's palette, see `widgets._palette`."""

from __future__ import annotations

from collections.abc import Callable

from napari_medssl.widgets._palette import Palette
from napari_medssl.widgets.segmentation.commands import COMMANDS
from napari_medssl.widgets.segmentation.widget import SegmentationWidget


def _is_alive(widget: SegmentationWidget) -> bool:
    return not widget.is_closed


PALETTE = Palette(__name__, "Segmentation", SegmentationWidget, COMMANDS, _is_alive)


def __getattr__(name: str) -> Callable[[], None]:
    """Return the function of a command (PEP 562)."""
    return PALETTE.function(name)
