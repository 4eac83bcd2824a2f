"""Time a map from embeddings to final places beside umap-learn; the table goes to RESULTS.md.

In one run, each in a process of its own that begins with nothing loaded: `umap.UMAP().fit` with its
defaults, and ours through `backend.map_layout` (neighbours, principal components, layout in its
child process, which has compiled before as any second start has). umap-learn's second fit of the
same process, which has nothing left to compile, is the column "again", and so is ours. Both see the
same made embeddings: 500 Gaussian clusters in 24 dimensions, laid into 128 (see bench_search).

Trustworthiness (k = 15) is scikit-learn's measure with ranks counted exactly for 2000 drawn rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_figures import device_name, write_section
from bench_search import made

K = 15
MEASURED = 2000
MOST_TWICE = 50_000  # rows; of more, compiling is a small part
METHODS = ("umap-learn", "ours")


def trustworthiness(values: np.ndarray, places: np.ndarray) -> float:
    """Return it for drawn rows, their ranks counted among all."""
    from scipy.spatial import KDTree

    count = len(values)
    drawn = np.random.default_rng(0).choice(count, min(MEASURED, count), replace=False)
    _, near = KDTree(places).query(places[drawn], K + 1)
    lost = 0.0
    for row, found in zip(drawn, near, strict=True):
        others = found[found != row][:K]
        similarity = values @ values[row]
        similarity[row] = -np.inf
        ranks = 1 + (similarity[None] > similarity[others][:, None]).sum(axis=1)
        lost += np.maximum(ranks - K, 0).sum()
    return 1 - 2 * lost / (len(drawn) * K * (2 * count - 3 * K - 1))


def by_umap_learn(values: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Return places by umap-learn with its defaults."""
    import umap

    start = time.perf_counter()
    places = umap.UMAP().fit(values).embedding_
    return places, {"layout": time.perf_counter() - start}


def by_ours(values: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Return places by ours, and what the parts took."""
    from napari_medssl.backend.map_layout import (
        LayoutConfig,
        lay_out,
        neighbours_of,
        principal_places,
    )

    start = time.perf_counter()
    principal_places(values)
    first = time.perf_counter()
    graph = neighbours_of(values)
    found = time.perf_counter()
    places = lay_out(values, graph, LayoutConfig())
    ended = time.perf_counter()
    return places, {
        "first view": first - start,
        "neighbours": found - first,
        "layout": ended - found,
        "recall": graph.recall,
    }


def run_method(method: str, data: Path) -> dict[str, float]:
    """Lay out in this process, twice if there are few rows, and measure."""
    values = np.load(data)
    lay_out = by_umap_learn if method == "umap-learn" else by_ours
    start = time.perf_counter()
    places, parts = lay_out(values)
    fresh, again = time.perf_counter() - start, float("nan")
    if len(values) <= MOST_TWICE:
        start = time.perf_counter()
        places, parts = lay_out(values)
        again = time.perf_counter() - start
    return {
        "fresh": fresh,
        "again": again,
        "trust": trustworthiness(values, places),
        **parts,
    }


def in_process(method: str, data: Path) -> dict[str, float]:
    """Measure a method in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--method", method, "--data", str(data)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measured(rows: int, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return the medians of both methods, in turns."""
    data = folder / f"{rows}.npy"
    np.save(data, made("clustered", rows, 1))
    taken: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    for _ in range(rounds):
        for method in METHODS:
            taken[method].append(in_process(method, data))
            print(rows, method, taken[method][-1], file=sys.stderr, flush=True)
    return {
        method: {name: float(np.median([one[name] for one in runs])) for name in runs[0]}
        for method, runs in taken.items()
    }


def report(results: dict[int, dict[str, dict[str, float]]], rounds: int, load: float) -> str:
    """Return the tables."""
    lines = [
        f"Device: {device_name('cpu')}. Median of {rounds} rounds, in turns; load at the start "
        f"{load:.1f}, so ratios count, seconds do not.",
        "",
        "| rows x 128 | umap-learn, s | again, s | ours, s | again, s | ratio | ratio again "
        "| trustworthiness of umap-learn | of ours |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for rows, found in results.items():
        plain, ours = (found[method] for method in METHODS)
        lines.append(
            f"| {rows:,} | {plain['fresh']:.1f} | {plain['again']:.1f} | {ours['fresh']:.1f} | "
            f"{ours['again']:.1f} | {ours['fresh'] / plain['fresh']:.2f} | "
            f"{ours['again'] / plain['again']:.2f} | {plain['trust']:.4f} | {ours['trust']:.4f} |"
        )
    lines += [
        "",
        "| ours | first view (principal components), s | neighbours, s | recall | layout, s |",
        "|---|---:|---:|---:|---:|",
    ]
    for rows, found in results.items():
        one = found["ours"]
        lines.append(
            f"| {rows:,} | {one['first view']:.2f} | {one['neighbours']:.1f} | "
            f"{one['recall']:.3f} | {one['layout']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--method", choices=METHODS)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md")
    given = parser.parse_args()
    if given.method:
        print(json.dumps(run_method(given.method, given.data)))
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        results = {rows: measured(rows, given.rounds, Path(folder)) for rows in given.rows}
    text = report(results, given.rounds, load)
    print(text)
    if not given.dry:
        write_section(text, "map-layout", "Layout of a map", "bench_map_layout.py")


if __name__ == "__main__":
    main()
