"""Read what is on the disk of a slide that is still being indexed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_medssl.index.arrays import (
    TILE,
    Half,
    TileRows,
    read_embedding_rows,
    read_tile_rows,
    shard_count,
    shard_key,
    shard_rows,
)
from napari_medssl.index.slide_record import FORMAT
from napari_medssl.index.slide_writer import PARTIAL
from napari_medssl.io.slide_store.journal import read_written


def read_unfinished(slide: Path, dim: int) -> tuple[TileRows, Half] | None:
    """Return the tiles and embeddings (N, D) of the shards that are written so far.

    Parameters
    ----------
    slide
        Folder that the slide will have when it is finished.
    dim
        Dimensions of an embedding, D.

    Returns
    -------
    None if the slide is not being indexed, or has just been finished.
    """
    folder = slide.with_name(slide.name + PARTIAL)
    written = read_written(folder, FORMAT)
    if written is None:
        return None
    tiles, halves = [np.empty(0, TILE)], [np.empty((0, dim), np.float16)]
    try:
        rows = int(written.header["tiles"])
        table = read_tile_rows(folder, rows)
        for shard in range(shard_count(rows)):
            if shard_key(shard) in written.receipts:
                chosen = shard_rows(shard, rows)
                tiles.append(table[chosen])
                halves.append(read_embedding_rows(folder, chosen, (rows, dim)))
    except (OSError, KeyError, TypeError, ValueError):
        return None
    half = np.concatenate(halves)
    is_read = half.any(axis=1)
    return np.concatenate(tiles)[is_read], half[is_read]
