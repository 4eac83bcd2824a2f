"""What a search gives back: tiles of slides, best first, and how sure it is that none is missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.index.arrays import TileRows


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of an indexed slide.

    Attributes
    ----------
    slide
        Fingerprint of its slide.
    x, y
        Corner at level 0.
    size
        Side in level-0 pixels.
    tissue
        Part that is tissue.
    """

    slide: str
    x: int
    y: int
    size: int
    tissue: float

    def holds(self, point: tuple[float, float]) -> bool:
        """Say whether a level-0 point lies in it."""
        return self.x <= point[0] < self.x + self.size and self.y <= point[1] < self.y + self.size


@dataclass(frozen=True, slots=True)
class Hit:
    """A tile that was found, and its similarity: the cosine, in [-1, 1]."""

    tile: Tile
    similarity: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    hits
        For each query its hits, best first; fewer than asked for where there are no more.
    recall
        1.0 if every vector was compared. Else the share of the ten true neighbours (with more
        than ten hits wanted: of the hundred) that this library's index finds, measured when it was
        built with queries that it was not tuned on.
    """

    hits: tuple[tuple[Hit, ...], ...]
    recall: float


@dataclass(frozen=True, slots=True)
class SlideScores:
    """The similarity of every tile of a slide to one vector.

    Attributes
    ----------
    tiles
        `arrays.TILE`, shape (N,).
    similarity
        float32, shape (N,), in [-1, 1].
    """

    tiles: TileRows
    similarity: NDArray[np.float32]
