"""Time the search of tile embeddings beside other engines; the table goes to RESULTS.md.

One run measures everything side by side: our library through `SearchCollection.search`, its mirror
in LanceDB in a folder (if it is installed), faiss Flat, faiss HNSW and usearch HNSW (if it is
installed), on two kinds of 128-d data:

- clustered: 500 Gaussian clusters in 24 dimensions through a random layer, as embeddings lie;
- unclustered: one Gaussian in 32 dimensions, mixed into 128. It breaks a fixed nprobe.

Each engine runs in a process of its own, so that its memory can be told. Queries are drawn like the
data, come one at a time, and are not in it; the truth is a float32 comparison with all. Memory is
what the process holds more after the queries than before the engine was opened or built. Ours is
opened from the disk by a fresh process, as a window opens it; its file is mapped, so what no query
touched is not in the memory column; the column "file" has all of it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench_figures import device_name, write_section

DIM = 128
TOP = 10
SLIDE_ROWS = 20_000
QUERIES = 400
WARM = 50
DATA = ("clustered", "unclustered")
ENGINES = ("ours", "ours, exact", "LanceDB mirror", "faiss Flat", "faiss HNSW", "usearch HNSW")


def made(kind: str, count: int, seed: int) -> np.ndarray:
    """Return unit vectors, float32 (count, DIM)."""
    fixed, rng = np.random.default_rng(7), np.random.default_rng(seed)
    if kind == "clustered":
        centres = fixed.normal(size=(500, 24))
        first, second = fixed.normal(size=(24, 64)) / 5, fixed.normal(size=(64, DIM)) / 8
        latent = centres[rng.integers(0, 500, count)] + 0.35 * rng.normal(size=(count, 24))
        values = np.tanh(latent @ first) @ second + 0.02 * rng.normal(size=(count, DIM))
    else:
        values = rng.normal(size=(count, 32)) @ fixed.normal(size=(32, DIM))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values.astype(np.float32)


def write_data(folder: Path, kind: str, rows: int) -> Path:
    """Write the vectors (float16), the queries and their true neighbours."""
    path = folder / f"{kind}-{rows}.npy"
    vectors = np.lib.format.open_memmap(path, "w+", np.float16, (rows, DIM))
    queries = made(kind, QUERIES + WARM, 1)
    best = np.full((len(queries), TOP), -np.inf, np.float32)
    for start in range(0, rows, SLIDE_ROWS):
        block = made(kind, min(SLIDE_ROWS, rows - start), 100 + start).astype(np.float16)
        vectors[start : start + len(block)] = block
        similarity = queries @ block.astype(np.float32).T
        joined = np.concatenate([best, similarity], axis=1)
        best = np.partition(joined, -TOP, axis=1)[:, -TOP:]
    vectors.flush()
    np.savez(path.with_suffix(".npz"), queries=queries, tenth=best.min(axis=1))
    return path


def write_library(folder: Path, data: Path) -> dict[str, float]:
    """Write our library as `medssl index` does, and make its search ready."""
    from napari_medssl.backend.index_slides import bring_up_to_date
    from napari_medssl.index.arrays import TILE, shard_rows
    from napari_medssl.index.library import Library
    from napari_medssl.index.set_up import SetUp
    from napari_medssl.index.slide_record import SlideRecord
    from napari_medssl.index.slide_writer import SlideWriter

    vectors = np.load(data, mmap_mode="r")
    library = Library.open(folder, make=True)
    set_up = SetUp("made", "", DIM, 224, 0.5, 224)
    start = time.perf_counter()
    with library.write_lock():
        collection = library.make_collection(set_up, "made")
        for number, first in enumerate(range(0, len(vectors), SLIDE_ROWS)):
            half = np.asarray(vectors[first : first + SLIDE_ROWS], np.float32)
            tiles = np.zeros(len(half), TILE)
            tiles["x"], tiles["y"] = (
                np.arange(len(half)) % 200 * 224,
                np.arange(len(half)) // 200 * 224,
            )
            tiles["size"], tiles["tissue"] = 224, 1
            name = f"{number:032x}"
            record = SlideRecord(
                name, f"{number}.svs", f"patient {number // 2}", (44800, 22400), 0.5
            )
            place = collection.slide_folder(name)
            with SlideWriter(place, record, set_up, lambda tiles=tiles: tiles) as writer:
                for shard in writer.todo:
                    writer.write(shard, half[shard_rows(shard, len(half))])
                writer.finish()
        written = time.perf_counter()
        bring_up_to_date(collection)
    return {"write": written - start, "build": time.perf_counter() - written}


def resident_mb() -> float:
    """Return what this process holds in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measured(
    search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, tenth: np.ndarray, data: Path
) -> dict[str, float]:
    """Return recall and latency of `search`, which gives rows or similarities of one query."""
    vectors = np.load(data, mmap_mode="r")
    for query in queries[QUERIES:]:
        search(query)
    taken, found = [], []
    for query in queries[:QUERIES]:
        start = time.perf_counter()
        found.append(search(query))
        taken.append(time.perf_counter() - start)
    recalls = []
    for query, came, least in zip(queries, found, tenth, strict=False):
        if came.dtype.kind == "i":
            came = vectors[came].astype(np.float32) @ query
        recalls.append((came >= least - 1e-5).sum() / TOP)
    p50, p95 = np.percentile(taken, [50, 95]) * 1000
    return {"recall": float(np.mean(recalls)), "p50": float(p50), "p95": float(p95)}


def run_engine(engine: str, data: Path, library: Path) -> dict[str, float]:
    """Open or build an engine in this process and measure it."""
    import faiss

    import napari_medssl.index  # noqa: F401 - modules are no part of what an engine holds

    loaded = np.load(data.with_suffix(".npz"))
    queries, tenth = loaded["queries"], loaded["tenth"]
    faiss.knn(queries[:2], queries[:4], 2)  # its threads are there before memory is taken
    if engine.startswith("ours"):
        return run_ours(engine, data, library, queries, tenth)
    if engine == "LanceDB mirror":
        return run_mirror(data, library, queries, tenth)
    vectors = np.load(data, mmap_mode="r")
    before, start = resident_mb(), time.perf_counter()
    if engine == "usearch HNSW":
        from usearch.index import Index

        index = Index(
            ndim=DIM,
            metric="ip",
            dtype="f16",
            connectivity=16,
            expansion_add=64,
            expansion_search=128,
        )
        for first in range(0, len(vectors), 50_000):
            block = np.array(vectors[first : first + 50_000])
            index.add(np.arange(first, first + len(block)), block)

        def search(query: np.ndarray) -> np.ndarray:
            return index.search(query.astype(np.float16), TOP).keys.astype(np.int64)
    else:
        made_index = (
            faiss.IndexFlatIP(DIM)
            if engine == "faiss Flat"
            else faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT)
        )
        if engine == "faiss HNSW":
            made_index.hnsw.efConstruction, made_index.hnsw.efSearch = 64, 128
        for first in range(0, len(vectors), 50_000):
            made_index.add(np.asarray(vectors[first : first + 50_000], np.float32))

        def search(query: np.ndarray) -> np.ndarray:
            return made_index.search(query[None], TOP)[1][0]

    build = time.perf_counter() - start
    faiss.omp_set_num_threads(1)  # one query has no use for more, and they get in each other's way
    del vectors
    held = resident_mb() - before  # before the truth is looked up
    return {"build": build, "memory": held, **measured(search, queries, tenth, data)}


def run_mirror(
    data: Path, library: Path, queries: np.ndarray, tenth: np.ndarray
) -> dict[str, float]:
    """Mirror the library in a folder and search there, as `medssl search --engine` does."""
    from napari_medssl.index.engine_search import open_engine

    place = library.with_suffix(".lance")
    start = time.perf_counter()
    if not place.exists():
        # In a process of its own: what it holds is no part of what a search holds.
        command = [sys.executable, __file__, "--child", "mirror", str(data), str(library)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    build = time.perf_counter() - start
    before, start = resident_mb(), time.perf_counter()
    found = open_engine(str(place))

    def search(query: np.ndarray) -> np.ndarray:
        hits = found.search(query, TOP).hits[0]
        return np.array([hit.similarity for hit in hits], np.float32)

    search(queries[0])
    opened = time.perf_counter() - start
    result = measured(search, queries, tenth, data)
    files = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return {
        "build": build,
        "open": opened,
        "memory": resident_mb() - before,
        "file": files / 2**20,
        "promised": found.search(queries[0], TOP).recall,
        **result,
    }


def make_mirror(library: Path) -> dict[str, float]:
    from napari_medssl.backend.mirror_library import MirrorConfig, mirror_library

    mirror_library(library, str(library.with_suffix(".lance")), MirrorConfig())
    return {}


def run_ours(
    engine: str, data: Path, library: Path, queries: np.ndarray, tenth: np.ndarray
) -> dict[str, float]:
    from napari_medssl.index import open_collection

    folder = next(library.glob("*.embeddings")) / "cache"
    hidden = []
    if engine == "ours, exact":
        for path in folder.glob("approximate-*.json"):
            hidden.append(path.rename(path.with_suffix(".hidden")))
    try:
        before, start = resident_mb(), time.perf_counter()
        found = open_collection(library)
        opened = time.perf_counter() - start

        def search(query: np.ndarray) -> np.ndarray:
            hits = found.search(query, TOP).hits[0]
            return np.array([hit.similarity for hit in hits], np.float32)

        for query in queries:
            search(query)
        held = resident_mb() - before
        result = {"open": opened, "memory": held, **measured(search, queries, tenth, data)}
        start = time.perf_counter()
        slides = found.slides
        tiles = [
            found.nearest_tile(slides[k % len(slides)].fingerprint, (k * 999, 500))
            for k in range(6)
        ]
        found.search(found.combine(tiles[:3], tiles[3:]), 50)
        result["examples"] = (time.perf_counter() - start) * 1000
        start = time.perf_counter()
        found.score_slide(queries[0], slides[0].fingerprint)
        result["slide"] = (time.perf_counter() - start) * 1000
        result["promised"] = found.recall
        result["file"] = sum(path.stat().st_size for path in folder.glob("*.faiss")) / 2**20
        return result
    finally:
        for path in hidden:
            path.rename(path.with_suffix(".json"))


def in_child(*words: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def table(kind: str, rows: int, folder: Path, engines: list[str]) -> list[str]:
    """Return the lines of one data set."""
    data = write_data(folder, kind, rows)
    library = folder / f"library-{kind}-{rows}"
    made_ours = in_child("write", str(data), str(library))
    raw = rows * DIM * 2 / 2**20
    lines = [
        "",
        f"{kind}, {rows:,} x {DIM} ({raw:.0f} MB as fp16):",
        "",
        "| engine | recall@10 | p50 ms | p95 ms | memory MB | times fp16 | build s |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    ours, mirror = {}, {}
    for engine in engines:
        came = in_child(engine, str(data), str(library))
        build = made_ours["build"] if engine == "ours" else came.get("build", 0.0)
        if engine == "ours" or (engine == "ours, exact" and not ours):
            ours = came
        if engine == "LanceDB mirror":
            mirror = came
        lines.append(
            f"| {engine} | {came['recall']:.4f} | {came['p50']:.2f} | {came['p95']:.2f} | "
            f"{came['memory']:.0f} | {came['memory'] / raw:.2f} | {build:.1f} |"
        )
        print(lines[-1], flush=True)
    if not (ours or mirror):
        return lines
    told = []
    if ours:
        told.append(
            f"Ours: recall promised {ours['promised']:.4f}; written in {made_ours['write']:.1f} s, "
            f"opened in {ours['open'] * 1000:.0f} ms, index file {ours['file']:.0f} MB; three "
            f"examples and three counter-examples to 50 hits {ours['examples']:.0f} ms; all "
            f"{SLIDE_ROWS:,} tiles of a slide scored in {ours['slide']:.0f} ms."
        )
    if mirror:
        told.append(
            f"LanceDB: recall promised {mirror['promised']:.4f}; opened and first asked in "
            f"{mirror['open'] * 1000:.0f} ms, files {mirror['file']:.0f} MB."
        )
    lines += ["", " ".join(told)]
    print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--data", nargs="*", default=list(DATA))
    parser.add_argument("--engines", nargs="*", default=list(ENGINES))
    parser.add_argument("--dry", action="store_true", help="print only")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, data, library = options.child
        if what == "write":
            done = write_library(Path(library), Path(data))
        elif what == "mirror":
            done = make_mirror(Path(library))
        else:
            done = run_engine(what, Path(data), Path(library))
        print(json.dumps(done))
        return
    engines = list(options.engines)
    for module, name in (("usearch", "usearch HNSW"), ("lancedb", "LanceDB mirror")):
        if importlib.util.find_spec(module) is None:
            engines = [engine for engine in engines if engine != name]
    load = [os.getloadavg()[0]]
    lines: list[str] = []
    for rows in options.rows:
        for kind in options.data:
            with tempfile.TemporaryDirectory() as folder:
                lines += table(kind, rows, Path(folder), engines)
    load.append(os.getloadavg()[0])
    text = "\n".join(
        [
            f"Device: {device_name('cpu')}. Load average of the machine at the start "
            f"{load[0]:.1f}, at the end {load[1]:.1f}. {QUERIES} queries, one at a time, "
            f"after {WARM} to warm up. HNSW: 16 links, efConstruction 64, efSearch 128.",
            *lines,
        ]
    )
    print(text)
    if not options.dry:
        write_section(text, "search", "Search of tile embeddings", "bench_search.py")


if __name__ == "__main__":
    main()
