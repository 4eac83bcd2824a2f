"""The two layers of one image, and the tool that a person has in hand in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from napari.utils.interactions import mouse_release_callbacks

_FREE_NAMES = "closed image", "closed mask"
# The mode last: napari sets others by it.
_TOOL = ("selected_label", "brush_size", "contour", "opacity", "preserve_labels", "mode")


@dataclass
class LayerPair:
    """The layers of one image; `key` is None while they show none."""

    key: int | None
    image: Any
    mask: Any
    was_painted: bool = False  # since its undo was empty

    def let_go(self) -> None:
        """Show no image until there is another one for the layers; nothing can be painted."""
        self.key = None
        self.show(False)
        self.mask.editable = False  # this forgets the undo, too
        self.image.name, self.mask.name = _FREE_NAMES

    def show(self, is_shown: bool) -> None:
        """Show or hide both."""
        if not is_shown:
            _end_stroke(self.mask)
        for layer in (self.image, self.mask):
            if layer.visible != is_shown:
                layer.visible = is_shown


class ToolInHand:
    """The tool that a person has in hand, brush or other, with its size and its class.

    It goes along from the layer that was in front to the next, also where none is in between.
    """

    def __init__(self) -> None:
        self._layer: Any = None  # the Labels layer that was in front last
        self._kept: Mapping[str, Any] = {}  # what was in hand in a layer that was let go

    def keep_from(self, layer: Any) -> None:
        """Remember the tool of a layer that is let go: one that cannot be edited has none."""
        if layer is self._layer:
            self._kept, self._layer = _tool_of(layer), None

    def move_to(self, layer: Any) -> Mapping[str, Any]:
        """Return the tool; from now on it is that of another layer."""
        tool = self._kept if self._layer is None else _tool_of(self._layer)
        self._layer = layer
        return tool


def use_tool(layer: Any, tool: Mapping[str, Any]) -> None:
    """Let a person go on in a layer with the tool that was in hand in another."""
    for name, value in tool.items():
        if getattr(layer, name) != value:
            setattr(layer, name, value)


def _end_stroke(layer: Any) -> None:
    """End a stroke that goes on: napari tells of the release only to the layer that is in front.

    It would else be taken for a part of the next stroke on this layer, and be undone with that.
    """
    mouse_release_callbacks(layer, SimpleNamespace(type="mouse_release"))


def _tool_of(layer: Any) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in _TOOL}
