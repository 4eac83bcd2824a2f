"""Time slides: open to first pixels, tiles a second, panning; the table goes to RESULTS.md.

All ways of reading take turns within a round, so that other programs on the machine slow all of
them alike; the median of the rounds counts, and ratios are what to look at. Pages of the files are
in memory. napari-wsi is measured beside us where it is installed (`pip install napari-wsi[all]`).
The slides are those of MEDSSL_DATA or ../shared/data; without them nothing is measured.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from bench_figures import ROOT, device_name, write_section

from napari_medssl.io.slides import open_slide
from napari_medssl.io.slides.level_arrays import slide_levels
from napari_medssl.io.slides.openslide_slide import OpenSlideSlide
from napari_medssl.io.slides.tile_cache import TileCache

DATA = Path(os.environ.get("MEDSSL_DATA", ROOT.parent / "shared" / "data"))
SLIDES = ("slides/her2st_C2.tif", "slides/CMU-1-Small-Region.svs")
TILES = 256  # in each measurement
BATCH = 64
WINDOW = (1024, 768)

Reader = Callable[[Sequence[tuple[int, int]], tuple[int, int]], object]


def take_turns(
    works: dict[str, Callable[[], Callable[[], object]]], rounds: int
) -> dict[str, float]:
    """Return the median seconds of what each of `works` prepares, run in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, prepare in works.items():
            work = prepare()
            start = time.perf_counter()
            work()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(found)) for name, found in seconds.items()}


def readers(path: Path) -> dict[str, Callable[[], Reader]]:
    """Return makers of fresh readers of the same tiles: nothing decoded is left over."""
    import openslide

    def plain() -> Reader:
        slide = openslide.OpenSlide(path)
        return lambda corners, size: [
            np.asarray(slide.read_region(corner, 0, size).convert("RGB")) for corner in corners
        ]

    def through_openslide() -> Reader:
        slide = OpenSlideSlide(path)
        return lambda corners, size: slide.read_many(0, corners, size)

    def one_by_one() -> Reader:
        slide = checked(path)
        return lambda corners, size: [slide.read_pixels(0, corner, size) for corner in corners]

    def batches() -> Reader:
        slide = checked(path)
        return lambda corners, size: [
            slide.read_many(0, corners[at : at + BATCH], size)
            for at in range(0, len(corners), BATCH)
        ]

    return {
        "openslide.read_region": plain,
        "ours through OpenSlide": through_openslide,
        "ours, one by one": one_by_one,
        "ours, batches of 64": batches,
    }


def checked(path: Path):
    """Return the slide with level 0 compared with OpenSlide already."""
    slide = open_slide(path)
    slide.read_pixels(0, (0, 0), (8, 8))
    return slide


def places(slide, kind: str) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return corners and size of the tiles of a way to walk over level 0."""
    width, height = slide.dimensions
    across, down = (224, 224) if kind == "224 px grid" else slide.tile_size(0)
    grid = [
        (x, y)
        for y in range(0, height - 2 * down, down)
        for x in range(0, width - 2 * across, across)
    ]
    random = np.random.default_rng(0)
    if kind == "unaligned, random":
        spots = random.integers(0, (width - across, height - down), (TILES, 2))
        grid = [(int(x), int(y)) for x, y in spots]
    if kind == "aligned, random":
        random.shuffle(grid)
    start = 0 if "random" in kind else len(grid) // 3  # tissue, not the empty edge
    return grid[start : start + TILES], (across, down)


def time_tiles(path: Path, rounds: int) -> list[str]:
    """Return table rows of tiles a second, for one thread and two."""
    made = readers(path)
    with open_slide(path) as slide:
        kinds = ("aligned, in order", "aligned, random", "unaligned, random", "224 px grid")
        walks = {kind: places(slide, kind) for kind in kinds}
    rows = []
    for kind, (corners, size) in walks.items():
        for threads in (1, 2):
            works = {name: _worker(make, corners, size, threads) for name, make in made.items()}
            seconds = take_turns(works, rounds)
            rates = [len(corners) / seconds[name] for name in made]
            cells = " | ".join(f"{rate:.0f}" for rate in rates)
            rows.append(
                f"| {path.name} | {kind} | {threads} | {cells} | {rates[3] / rates[0]:.1f} |"
            )
    head = " | ".join(made)
    return [
        f"| slide | tiles | threads | {head} | batches to openslide |",
        "|---|---|---:|" + "---:|" * (len(made) + 1),
        *rows,
    ]


def _worker(
    make: Callable[[], Reader], corners: list[tuple[int, int]], size: tuple[int, int], threads: int
) -> Callable[[], Callable[[], object]]:
    """Return what opens the slide and prepares the reading of all tiles, split over threads."""

    def prepare() -> Callable[[], object]:
        read = make()
        part = -(-len(corners) // threads)
        parts = [corners[at : at + part] for at in range(0, len(corners), part)]

        def work() -> None:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda some: read(some, size), parts))

        return work if threads > 1 else lambda: read(corners, size)

    return prepare


def time_opening(path: Path, rounds: int) -> list[str]:
    """Return table rows of opening and the first overview in milliseconds."""
    import openslide

    def ours() -> None:
        slide = open_slide(path)
        cache = TileCache(2**28)
        np.asarray(slide_levels(slide, cache)[-1])
        cache.close()
        slide.close()

    def theirs() -> None:
        slide = openslide.OpenSlide(path)
        level = slide.level_count - 1
        np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]).convert("RGB"))
        slide.close()

    works = {
        "ours: open": lambda: lambda: open_slide(path).close(),
        "ours: open and overview": lambda: ours,
        "openslide: open and overview": lambda: theirs,
    }
    if (peer := peer_levels(path)) is not None:
        works["napari-wsi: open and overview"] = lambda: lambda: np.asarray(peer()[-1])
    seconds = take_turns(works, rounds)
    return [f"| {path.name} | {name} | {1000 * value:.1f} |" for name, value in seconds.items()]


def time_panning(path: Path, rounds: int) -> list[str]:
    """Return table rows of windows at level 0 that nobody has read before."""
    with open_slide(path) as slide:
        width, height = slide.dimensions
    steps = min((width - WINDOW[0]) // 700, 10)
    corners = [(700 * n, (height - WINDOW[1]) * n // max(1, steps)) for n in range(steps + 1)]

    def pan(level) -> None:
        for x, y in corners:
            np.asarray(level[y : y + WINDOW[1], x : x + WINDOW[0]])

    def ours() -> Callable[[], object]:
        level = slide_levels(checked(path), TileCache(2**28))[0]
        return lambda: pan(level)

    def theirs() -> Callable[[], object]:
        level = peer()[0]
        return lambda: pan(level)

    works = {"ours": ours}
    if (peer := peer_levels(path)) is not None:
        works["napari-wsi"] = theirs
    seconds = take_turns(works, rounds)
    return [
        f"| {path.name} | {name} | {1000 * value / len(corners):.1f} |"
        for name, value in seconds.items()
    ]


def peer_levels(path: Path) -> Callable[[], list] | None:
    """Return what opens a slide with napari-wsi and gives its levels, None if it is not there."""
    try:
        from napari_wsi.backends.openslide import OpenSlideStore
    except ImportError:
        return None

    def levels() -> list:
        (layer, *_) = OpenSlideStore(path).to_layer_data_tuples()
        return list(layer[0])

    return levels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    paths = [DATA / name for name in SLIDES]
    if not all(path.is_file() for path in paths):
        print("No slides: set MEDSSL_DATA.")
        return
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    lines = [
        f"Device: {device_name('cpu')}. Medians of {arguments.rounds} rounds; load {load:.1f}.",
        "",
    ]
    lines += ["Tiles a second at level 0, decoded to RGB arrays:", ""]
    tables = [time_tiles(path, arguments.rounds) for path in paths]
    lines += [*tables[0], *tables[1][2:], "", "| slide | way | ms |", "|---|---|---:|"]
    for path in paths:
        lines += time_opening(path, 2 * arguments.rounds)
    lines += ["", f"Panning at level 0, windows of {WINDOW[0]} x {WINDOW[1]} px, none seen before:"]
    lines += ["", "| slide | way | ms a window |", "|---|---|---:|"]
    for path in paths:
        lines += time_panning(path, arguments.rounds)
    text = "\n".join(lines)
    print(text)
    write_section(text, "slides", "Slides", "bench_slides.py")


if __name__ == "__main__":
    main()
