"""Pixel embeddings of local discrimination, pooled to one embedding of a tile.

What a tile is on average, how much that varies in it, and which regions of the model it holds: the
mean and the standard deviation of each dimension over its pixels, and the mean share of each
region. The three parts are brought to unit length before they are joined, so that none rules.
"""

from __future__ import annotations

import numpy as np

from napari_medssl.backend.encoders import (
    Embeddings,
    EncoderInfo,
    Tiles,
    check_tiles,
    unit_length,
)
from napari_medssl.backend.pixel_embedding import PixelEmbedder, load_pixel_embedder


class PooledPixels:
    """Pixel embeddings as an encoder of tiles, see `backend.encoders`.

    Parameters
    ----------
    embedder
        Embeds pixels.
    """

    def __init__(self, embedder: PixelEmbedder) -> None:
        self._embedder = embedder
        own = embedder.info
        self.info = EncoderInfo(
            name=own.name,
            dim=2 * own.dim + own.clusters,
            pixels=own.pixels,
            sha256=own.sha256,
            preprocessing="pooled",
        )

    def embed(self, tiles: Tiles) -> Embeddings:
        """Return unit-length embeddings, float32 (B, 2 D + K), of uint8 RGB tiles (B, S, S, 3)."""
        check_tiles(self.info, tiles)
        rows = [self._pooled(tile) for tile in tiles]
        return unit_length(np.array(rows, np.float32).reshape(len(tiles), self.info.dim))

    def _pooled(self, tile: Tiles) -> Embeddings:
        pixels = self._embedder.embed_image(tile, half=False).reshape(-1, self._embedder.info.dim)
        shares = self._embedder.assign_image(tile, half=False)
        parts = (
            pixels.mean(axis=0),
            pixels.std(axis=0),
            shares.reshape(-1, self._embedder.info.clusters).mean(axis=0),
        )
        return np.concatenate([unit_length(part[None].astype(np.float32))[0] for part in parts])


def pooled_pixels(name_or_file: str, device: str) -> PooledPixels:
    """Return a model of `medssl train local-discrimination` as an encoder of tiles.

    Raises
    ------
    UserError
        If the model is for something else, or its file does not fit its card.
    """
    return PooledPixels(load_pixel_embedder(name_or_file, device))
