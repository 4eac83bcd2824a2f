"""Libraries of made-up embeddings."""

import numpy as np

from napari_medssl.index.arrays import TILE, shard_rows
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.index.slide_writer import SlideWriter

DIM = 16


def make_set_up(**changes):
    values = {"encoder": "made", "sha256": "ab" * 32, "dim": DIM, "pixels": 32, "mpp": 0.5}
    return SetUp(**(values | {"size": 32} | changes))


def make_vectors(count, dim=DIM, seed=0):
    """Unit vectors, float32."""
    values = np.random.default_rng(seed).normal(size=(count, dim))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def make_tiles(count, size=32):
    """Tiles in rows of 50."""
    tiles = np.zeros(count, TILE)
    tiles["x"], tiles["y"] = np.arange(count) % 50 * size, np.arange(count) // 50 * size
    tiles["size"], tiles["tissue"] = size, 1
    return tiles


def fingerprint(number):
    return f"{number:032x}"


def put_slide(library, number, vectors, *, patient="", set_up=None, stop_after=None):
    """Write a slide of these vectors; with `stop_after` only so many shards, unfinished."""
    set_up = set_up or make_set_up(dim=vectors.shape[1])
    with library.write_lock():
        collection = library.make_collection(set_up, set_up.encoder)
        name = fingerprint(number)
        record = SlideRecord(name, f"/slides/{number}.svs", patient, (1600, 6400), 0.5)
        tiles = make_tiles(len(vectors))
        with SlideWriter(collection.slide_folder(name), record, set_up, lambda: tiles) as writer:
            for shard in writer.todo[:stop_after]:
                writer.write(shard, vectors[shard_rows(shard, len(vectors))])
            if stop_after is None:
                writer.finish()
    return name
