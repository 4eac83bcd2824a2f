"""Hide the names of slides where napari shows them: in its list of layers and its status bar.

What was hidden is remembered for all widgets together: "Slides" and "Find similar" hide the names
of the same layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary


@dataclass(frozen=True)
class _Former:
    """What a layer was called, what it is called instead, and where napari read it from."""

    name: str
    alias: str
    source: Any


_hidden: WeakKeyDictionary[Any, _Former] = WeakKeyDictionary()


def hide_name(layer: Any, alias: str) -> None:
    """Call a layer by a short name; the status bar no longer tells its file either."""
    layer = _bare(layer)
    former = _hidden.get(layer)
    if former is None:
        former = _Former(layer.name, alias, layer.source)
        # The status bar has the name of the file beside that of the layer, and napari offers no
        # other way to it.
        layer._source = layer.source.model_copy(update={"path": None})
    _hidden[layer] = _Former(former.name, alias, former.source)
    if layer.name != alias:
        layer.name = alias


def show_name(layer: Any, alias: str, title: str) -> None:
    """Give a layer its name back: what it was called, or `title` if it was never called otherwise.

    One that was called otherwise meanwhile keeps that name.
    """
    layer = _bare(layer)
    former = _hidden.pop(layer, None)
    if former is not None:
        layer._source = former.source
    if layer.name in {alias, alias if former is None else former.alias}:
        is_named = former is not None and former.name != layer.name
        layer.name = former.name if former is not None and is_named else title


def _bare(layer: Any) -> Any:
    """Return the layer itself: what napari gives to plugins stands before it."""
    return getattr(layer, "__wrapped__", layer)
