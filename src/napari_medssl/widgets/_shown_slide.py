"""The slide that a layer of the viewer shows, made by the widget "Slides" or napari's reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ShownSlide:
    """A slide that a layer of the viewer shows."""

    layer: Any
    fingerprint: str
    source: str
    mpp: tuple[float, float] | None
    dimensions: tuple[int, int]

    def location(self, world: Any) -> tuple[float, float]:
        """Return the location `(x, y)` at level 0 of a place in the viewer's coordinates."""
        place = self.layer.world_to_data(world)
        return float(place[-1]) + 0.5, float(place[-2]) + 0.5

    def holds(self, point: tuple[float, float]) -> bool:
        """Say whether a location lies on the slide."""
        return 0 <= point[0] < self.dimensions[0] and 0 <= point[1] < self.dimensions[1]


def shown_slide(layer: Any) -> ShownSlide | None:
    """Return the slide of a layer, None if it shows none."""
    about = layer.metadata.get("medssl", {})
    if not (isinstance(about, dict) and about.get("kind") == "slide" and about.get("fingerprint")):
        return None
    return ShownSlide(
        layer, about["fingerprint"], about["source"], about["mpp"], tuple(about["dimensions"])
    )
