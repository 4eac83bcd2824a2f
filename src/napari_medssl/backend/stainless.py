"""Embeddings of tiles with their stain taken away, remembered between calls.

Each tile is brought to one stain by itself, so that neither its slide nor its scanner is told by
colour any more; nor is what the colours of a single tile say, see docs/retrieval.md.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import Encoder
from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.backend.place_tiles import TilePlace, read_place
from napari_medssl.index.set_up import SetUp
from napari_medssl.io.stain import Reinhard, fit_stain

_STAIN = "he"
_GLASS, _LEAST_DENSITY = 240.0, 0.06  # brightness of glass; natural optical density of tissue
_BATCH = 16
_MOST_KEPT = 20_000  # 10 MB of 128 dimensions

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """A place as it looks without its stain.

    Attributes
    ----------
    vector
        Embedding with the stain taken away, shape (D,).
    stain
        The stain that was taken away: means of L, a and b over tissue, shape (3,); NaN where there
        was too little to tell. Their spread is left out: it says more of the tissue.
    """

    vector: Vector
    stain: NDArray[np.float64]


Key = tuple[str, str, tuple[float, float, float, float]]
_Waiting = tuple[int, NDArray[np.uint8], NDArray[np.float64]]
"""Number of a place, its tiles without stain, and the stain."""


def without_stain(tile: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return a tile, uint8 RGB (S, S, 3), in the one stain, and its own one, see `Seen`.

    A tile with too little stain stays as it is.

    Glass keeps its colour. It is told by its brightness alone: a tile need not show any, so that
    its brightest pixels, which `fit_stain` looks at, may be tissue.
    """
    density = -np.log((tile.astype(np.float32) + 1) / (_GLASS + 1)).mean(axis=2)
    is_tissue = density > _LEAST_DENSITY
    try:
        own = fit_stain(tile, is_tissue)
    except UserError:
        return tile, np.full(3, np.nan)
    moved = Reinhard(own, _STAIN, keep_glass=False)(tile)
    return np.where(is_tissue[..., None], moved, tile), np.array(own.mean)


class _Kept:
    """The embeddings that were made last. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vectors: OrderedDict[Key, Seen] = OrderedDict()

    def get(self, key: Key) -> Seen | None:
        with self._lock:
            found = self._vectors.get(key)
            if found is not None:
                self._vectors.move_to_end(key)
            return found

    def put(self, key: Key, seen: Seen) -> None:
        with self._lock:
            self._vectors[key] = seen
            if len(self._vectors) > _MOST_KEPT:
                self._vectors.popitem(last=False)


_KEPT = _Kept()


class Stainless:
    """Embeds places without their stain. Use from one thread; `close` at the end.

    Parameters
    ----------
    encoder, set_up
        The encoder of a collection, and the set-up of that.
    """

    def __init__(self, encoder: Encoder, set_up: SetUp) -> None:
        self._encoder, self._set_up = encoder, set_up
        self._slides = OpenSlides()

    def close(self) -> None:
        """Close the slides."""
        self._slides.close()

    def look(
        self, places: Sequence[TilePlace], on_tile: Callable[[], None]
    ) -> list[Seen | UserError]:
        """Return each place without its stain, or why that is not to be had.

        `on_tile` is called before each; what it raises ends the work.
        """
        found: dict[int, Seen | UserError] = {}
        waiting: list[_Waiting] = []
        # Those of one slide follow each other, so that it is opened once.
        for number in sorted(range(len(places)), key=lambda one: places[one].slide):
            on_tile()
            place = places[number]
            kept = _KEPT.get(self._key(place)) if place.slide else None
            if kept is not None:
                found[number] = kept
                continue
            try:
                tiles = read_place(self._slides, place, self._set_up.pixels)
            except UserError as error:
                found[number] = error
                continue
            moved, stains = zip(*map(without_stain, tiles), strict=True)
            waiting.append((number, np.stack(moved), np.mean(stains, axis=0)))
            if sum(len(tiles) for _, tiles, _ in waiting) >= _BATCH:
                found |= self._embedded(waiting, places)
                waiting = []
        found |= self._embedded(waiting, places)
        return [found[number] for number in range(len(places))]

    def _key(self, place: TilePlace) -> Key:
        return self._set_up.name, place.slide, place.area

    def _embedded(
        self, waiting: Sequence[_Waiting], places: Sequence[TilePlace]
    ) -> dict[int, Seen]:
        """Return what was seen by number; the embedding of several tiles is their mean."""
        found: dict[int, Seen] = {}
        if not waiting:
            return found
        rows = self._encoder.embed(np.concatenate([tiles for _, tiles, _ in waiting]))
        start = 0
        for number, tiles, stain in waiting:
            mean = rows[start : start + len(tiles)].mean(axis=0)
            start += len(tiles)
            length = max(float(np.linalg.norm(mean)), 1e-6)
            found[number] = Seen((mean / length).astype(np.float32), stain)
            if places[number].slide:
                _KEPT.put(self._key(places[number]), found[number])
        return found
