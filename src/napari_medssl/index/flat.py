"""The flat cache of a collection: all its embeddings in one file that is mapped into memory.

    cache/flat.json              which rows are of which slide
    cache/vectors-7.f16          float16 (N, D), rows of zeros left out
    cache/tiles-7.bin            `arrays.TILE` (N,)

A slide that came since is appended; one that went is marked, and its rows are dropped once they are
a fifth of all. So a row keeps its number as long as the generation (7) stays, and the files are
never changed where another process may read them. `flat.json` is written last: what a kill left
behind it does not count. The cache may be deleted; it is made again from the slides, whose hashes
are compared when they are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl.index.arrays import TILE, Half, TileRows

FORMAT = 1
CACHE = "cache"
ABOUT = "flat.json"


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows of a slide: from `start`, `rows` of them; `is_gone` once it left the library."""

    slide: str
    content: str
    start: int
    rows: int
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Flat:
    """All embeddings of a collection; it does not change.

    Attributes
    ----------
    vectors
        float16, shape (N, D), of unit length.
    tiles
        Their tiles, shape (N,).
    segments
        Which rows are of which slide, in order.
    generation
        As long as it stays, a row keeps its number; -1 if it is in memory only.
    """

    vectors: Half
    tiles: TileRows
    segments: tuple[Segment, ...]
    generation: int

    @property
    def live(self) -> Mapping[str, Segment]:
        """The segments of the slides that are there, by fingerprint."""
        return {one.slide: one for one in self.segments if not one.is_gone}


def vectors_file(folder: Path, generation: int) -> Path:
    """Return the file of the embeddings."""
    return folder / f"vectors-{generation}.f16"


def tiles_file(folder: Path, generation: int) -> Path:
    """Return the file of the tiles."""
    return folder / f"tiles-{generation}.bin"


def read_flat(folder: Path, dim: int) -> Flat | None:
    """Return the cache as it is on the disk, None if there is none that is whole."""
    try:
        content: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
        if content["format"] != FORMAT or content["dim"] != dim:
            return None
        generation = int(content["generation"])
        segments = tuple(Segment(**one) for one in content["segments"])
        starts = np.cumsum([0, *(one.rows for one in segments)]).tolist()
        if [one.start for one in segments] != starts[:-1]:
            return None
        rows = starts[-1]
        vectors = _mapped(vectors_file(folder, generation), np.dtype(np.float16), (rows, dim))
        tiles = _mapped(tiles_file(folder, generation), TILE, (rows,))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Flat(vectors, tiles, segments, generation)


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """Return a file as an array; ValueError if it is too short."""
    if not shape[0]:
        return np.empty(shape, dtype)  # nothing can be mapped of no length
    return np.memmap(path, dtype, mode="r", shape=shape)
