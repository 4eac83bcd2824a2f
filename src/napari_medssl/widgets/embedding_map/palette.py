"""The commands of "Embedding map" for napari's palette, see `widgets._palette`."""

from __future__ import annotations

from collections.abc import Callable

from napari_medssl.widgets._palette import Palette
from napari_medssl.widgets.embedding_map.commands import COMMANDS
from napari_medssl.widgets.embedding_map.widget import EmbeddingMapWidget


def _is_alive(widget: EmbeddingMapWidget) -> bool:
    return not widget.is_closed


PALETTE = Palette(__name__, "Embedding map", EmbeddingMapWidget, COMMANDS, _is_alive)


def __getattr__(name: str) -> Callable[[], None]:
    """Return the function of a command (PEP 562)."""
    return PALETTE.function(name)
