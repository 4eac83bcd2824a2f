"""Time what indexing is made of: embedding tiles on a CPU, and committing shards to the disk.

    python benchmarks/bench_indexing.py

Tiles are noise, batches of 32 as `medssl index` makes them; what counts is the processor time of
all threads, so that other programs matter little: tiles for each second of one core. A shard of
1024 tiles of 128 dimensions is committed by `index.slide_writer` as the client of a cluster does:
made, hashed, flushed, and noted in the journal. How fast that is is up to the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_figures import device_name, write_section

from napari_medssl.backend.encoders import make_encoder
from napari_medssl.index.arrays import SHARD_ROWS, TILE
from napari_medssl.index.library import Library
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.index.slide_writer import SlideWriter

BATCH = 32
DIM = 128
ENCODERS = ("siamese-tissue", "imagenet", "histogram")


def encoding(name: str, batches: int) -> str:
    """Return the line of an encoder."""
    encoder = make_encoder(name, "cpu")
    side = encoder.info.pixels
    tiles = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), np.uint8)
    encoder.embed(tiles)  # warm up
    began = time.process_time()
    for _ in range(batches):
        encoder.embed(tiles)
    return f"| {name} | {batches * BATCH / (time.process_time() - began):,.1f} |"


def committing(shards: int) -> str:
    """Return the words for what the commits of shards take."""
    rows = shards * SHARD_ROWS
    values = np.random.default_rng(0).normal(size=(SHARD_ROWS, DIM)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    tiles = np.zeros(rows, TILE)
    tiles["x"], tiles["size"] = np.arange(rows), 224
    set_up = SetUp("made", "", DIM, 224, 0.5, 224)
    record = SlideRecord("0" * 32, "made", dimensions=(rows, 224), mpp=0.5)
    with tempfile.TemporaryDirectory() as folder:
        library = Library.open(Path(folder) / "library", make=True)
        with library.write_lock():
            place = library.make_collection(set_up, "made").slide_folder(record.fingerprint)
            with SlideWriter(place, record, set_up, lambda: tiles) as writer:
                began, used = time.perf_counter(), time.process_time()
                for shard in range(shards):
                    writer.write(shard, values)
                took, cpu = time.perf_counter() - began, time.process_time() - used
    return (
        f"{shards} shards committed at {shards / took:.0f} a second, {rows / took:,.0f} tiles; "
        f"{1000 * cpu / shards:.1f} ms of processor time each."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--dry", action="store_true", help="print only")
    options = parser.parse_args()
    lines = [
        f"{device_name('cpu')}.",
        "",
        "| encoder | tiles for each second of a core |",
        "|---|---:|",
        *(encoding(name, options.batches) for name in ENCODERS),
        "",
        committing(options.shards),
    ]
    text = "\n".join(lines)
    print(text)
    if not options.dry:
        write_section(text, "indexing", "What indexing is made of", "bench_indexing.py")


if __name__ == "__main__":
    main()
