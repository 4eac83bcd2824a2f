"""What a search for similar tiles is asked with: tiles, areas and pictures, wanted or not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of a slide, in pixels of level 0.

    Attributes
    ----------
    slide
        Fingerprint of the slide.
    x, y
        Corner.
    width, height
        Sides.
    """

    slide: str
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle `(x, y)`."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One example of a search; two are the same only if they are one object.

    Attributes
    ----------
    vector
        Embedding of unit length, float32, shape (D,).
    area
        Where on a slide it is, None for a picture.
    source
        Path of the slide or of the picture; it may name a patient.
    is_wanted
        True if more of its kind are wanted, False if fewer are.
    is_indexed
        True if `area` is a tile of the library, which the search then leaves out.
    """

    vector: NDArray[np.float32] = field(repr=False)
    area: Area | None
    source: str
    is_wanted: bool = True
    is_indexed: bool = False

    @property
    def name(self) -> str:
        """File name of the slide or picture; it may name a patient."""
        return PurePosixPath(self.source.replace("\\", "/").rstrip("/")).name or self.source

    def turned(self, is_wanted: bool) -> Example:
        """Return it as wanted, or as not wanted."""
        return replace(self, is_wanted=is_wanted)
