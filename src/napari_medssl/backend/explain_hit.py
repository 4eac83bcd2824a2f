"""Say why a hit is like a query: which patches of the two tiles correspond.

What is measured is defined in `methods.siamese.correspondence`. Runs in the compute process of a
window, or straight from the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.embed_query import load_encoder
from napari_medssl.backend.encoders import Encoder
from napari_medssl.backend.jobs import Cancelled, OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.local_maps import local_embeddings
from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.backend.place_tiles import TilePlace, as_indexed, read_place
from napari_medssl.index.set_up import SetUp
from napari_medssl.methods.siamese.correspondence import PatchMatch, contributions, match_patches

COUNT = 6
"""Pairs of patches that are shown."""

_FINE_GRID = 10  # places across from which on a patch is three of them wide


@dataclass(frozen=True, slots=True)
class Explanation:
    """Two tiles and their patches that correspond.

    Attributes
    ----------
    query, hit
        The tiles as they are, uint8 RGB, shape (S, S, 3).
    similarity
        Cosine of their embeddings.
    grid
        Rows and columns of places of a tile that have local embeddings.
    side
        Places along the side of a patch.
    matches
        The pairs that weigh most, the weightiest first.
    """

    query: NDArray[np.uint8]
    hit: NDArray[np.uint8]
    similarity: float
    grid: tuple[int, int]
    side: int
    matches: tuple[PatchMatch, ...]


def explain_hit(
    set_up: SetUp,
    encoder: str,
    queries: Sequence[TilePlace],
    hit: TilePlace,
    device: str = "auto",
    *,
    count: int = COUNT,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Explanation:
    """Return which patches of a hit correspond to those of the query tile most like it.

    Parameters
    ----------
    set_up, encoder, device
        See `embed_query.load_encoder`.
    queries
        The wanted examples; of one larger than a tile every tile is one.
    hit
        The hit.
    count
        How many pairs at most.

    Raises
    ------
    UserError
        If the encoder is not to be had or gives no maps, or a tile cannot be read.
    Cancelled
        If it was asked to stop.
    """
    loaded = load_encoder(set_up, encoder, device)
    shown, seen = [], []
    with closing(OpenSlides()) as slides:
        for place in (*queries, hit):
            if should_stop():
                raise Cancelled
            tiles = read_place(slides, place, set_up.pixels)
            shown.append(tiles)
            seen.append(as_indexed(slides, place, tiles, set_up))
    asked = np.concatenate(seen[:-1])
    best = _most_alike(loaded, asked, seen[-1])
    pair = np.concatenate(shown[:-1])[best], shown[-1][0]
    return explain_tiles(loaded, (asked[best], seen[-1][0]), count=count, shown=pair)


def explain_tiles(
    encoder: Encoder,
    tiles: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    *,
    count: int = COUNT,
    shown: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
) -> Explanation:
    """Return which patches of a query tile and a hit correspond.

    Parameters
    ----------
    encoder
        What compares them.
    tiles
        Query and hit as the encoder is to see them, uint8 RGB, shape (S, S, 3).
    count
        How many pairs at most.
    shown
        The two as they are to be shown, by default the same.

    Raises
    ------
    UserError
        If the encoder gives no maps.
    """
    query, hit = local_embeddings(encoder, np.stack(tiles))
    pictures = tiles if shown is None else shown
    side = 3 if min(query.shape[:2]) >= _FINE_GRID else 1
    return Explanation(
        pictures[0],
        pictures[1],
        float(contributions(query, hit).sum()),
        (query.shape[0], query.shape[1]),
        side,
        match_patches(query, hit, count, side=side),
    )


def _most_alike(encoder: Encoder, asked: NDArray[np.uint8], hit: NDArray[np.uint8]) -> int:
    """Return which of the tiles that ask is most like the hit."""
    if len(asked) == 1:
        return 0
    vectors = encoder.embed(np.concatenate([hit, asked]))
    return int((vectors[1:] @ vectors[0]).argmax())
