"""The value that every part of figure separation passes around: a box in an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-aligned box `(x0, y0, x1, y1)` in pixels of the image, half open.

    `score` is the detector's confidence in [0, 1], None when a person drew the box.
    `label` is the panel letter ("a", "b"), empty when there is none.
    `category` is the class name of the file it came from.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float | None = None
    label: str = ""
    category: str = "panel"

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class ImageBoxes:
    """The boxes of one image; `file_name` is relative to the annotation file where it can be."""

    file_name: str
    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
