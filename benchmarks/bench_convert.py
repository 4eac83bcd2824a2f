"""Time the conversion of a slide and its peak memory; the table goes to RESULTS.md.

The slide is an 8192 x 8192 mosaic of real H&E, an Aperio-style tiled JPEG pyramid. Beside us stands
`ome_zarr.writer.write_image` through dask, once with our decoder, layout and compression, so that
only the way of writing differs, and once as it is usually given: OpenSlide's pixels and its own
compression. Each conversion is a process of its own; they take turns, the median of the rounds
counts. Seconds run from opening the slide to the finished store, imports left out; ours include
flushing to the disk and reading all back to compare the hashes, which the other does not do.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_figures import device_name, write_section
from synthetic import REAL, mosaic, write_jpeg_slide

from napari_medssl.io.slide_store import StoreSettings, write_store
from napari_medssl.io.slides import open_slide
from napari_medssl.io.slides.openslide_slide import OpenSlideSlide

CHUNK, SHARD = 512, 2048
WAYS = {
    "ours": "`medssl slide convert`",
    "same": "`ome_zarr.writer.write_image`, our decoder, layout and compression",
    "usual": "`ome_zarr.writer.write_image`, OpenSlide's pixels, its compression",
}


def convert(way: str, path: Path, out: Path) -> None:
    """Convert the slide once; print seconds and peak memory."""
    if way != "ours":  # imports of both are no part of the time
        import dask.array  # noqa: F401
        import ome_zarr.writer  # noqa: F401
    start = time.perf_counter()
    if way == "ours":
        with open_slide(path) as slide:
            write_store(slide, out, StoreSettings(chunk=CHUNK))
    else:
        write_with_ome_zarr(path, out, is_same=way == "same")
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes()}))


def peak_bytes() -> int:
    """Return the most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count the process that started this one
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found.group(1)) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def write_with_ome_zarr(path: Path, out: Path, *, is_same: bool) -> None:
    """Write levels by factors of 2 down to 512 pixels, as ours."""
    import dask.array as da
    from ome_zarr.writer import write_image
    from zarr.codecs import ZstdCodec

    slide = open_slide(path) if is_same else OpenSlideSlide(path)
    width, height = slide.dimensions

    def read(block_info: Any = None) -> np.ndarray:
        (y0, y1), (x0, x1) = block_info[None]["array-location"][1:]
        return slide.read_pixels(0, (x0, y0), (x1 - x0, y1 - y0)).transpose(2, 0, 1)

    sides = [
        tuple(min(SHARD, full - at) for at in range(0, full, SHARD)) for full in (height, width)
    ]
    image = da.map_blocks(read, chunks=((3,), *sides), dtype=np.uint8)
    options: dict[str, Any] = {"chunks": (3, CHUNK, CHUNK), "shards": (3, SHARD, SHARD)}
    if is_same:
        options["compressors"] = [ZstdCodec(level=3, checksum=True)]
    factors = tuple(2**k for k in range(1, 20) if max(width, height) > 512 * 2 ** (k - 1))
    write_image(
        image, str(out), scale_factors=factors, axes=["c", "y", "x"], storage_options=options
    )
    slide.close()


def measure(way: str, path: Path, folder: Path) -> dict[str, float]:
    """Run one conversion in a process of its own."""
    out = folder / "made.ome.zarr"
    command = [sys.executable, "-W", "ignore", __file__, "--convert", way, str(path), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    files = [file for file in out.rglob("*") if file.is_file()]
    found["disk_bytes"] = sum(file.stat().st_size for file in files)
    found["files"] = len(files)
    shutil.rmtree(out)
    return found


def table(results: dict[str, list[dict[str, float]]], rgb_bytes: int) -> str:
    """Return the rows: medians over the rounds, and how they compare with ours."""
    medians = {
        way: {key: float(np.median([row[key] for row in rows])) for key in rows[0]}
        for way, rows in results.items()
    }
    ours = medians["ours"]
    lines = [
        "| way | MB/s of level-0 RGB | peak memory, MB | ours is faster | our memory | MB on disk"
        " | files |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for way, row in medians.items():
        speed = rgb_bytes / 1e6 / row["seconds"]
        faster = f"{row['seconds'] / ours['seconds']:.2f} times" if way != "ours" else ""
        less = f"{ours['peak_bytes'] / row['peak_bytes']:.0%}" if way != "ours" else ""
        lines.append(
            f"| {WAYS[way]} | {speed:.1f} | {row['peak_bytes'] / 1e6:.0f} | {faster} | {less} "
            f"| {row['disk_bytes'] / 1e6:.0f} | {row['files']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--convert", nargs=3, metavar=("WAY", "SLIDE", "OUT"))
    arguments = parser.parse_args()
    if arguments.convert:
        way, path, out = arguments.convert
        convert(way, Path(path), Path(out))
        return
    if not REAL.is_file():
        print("No development data: nothing is measured. Set MEDSSL_DATA.")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_jpeg_slide(folder / "slide.svs", mosaic(arguments.side))
        load = os.getloadavg()[0]
        results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(arguments.rounds):
            for way, rows in results.items():
                rows.append(measure(way, path, folder))
        text = (
            f"Device: {device_name('cpu')}. Slide: {arguments.side} x {arguments.side}, "
            f"{path.stat().st_size / 1e6:.1f} MB. Load average at the start {load:.1f}, at the end "
            f"{os.getloadavg()[0]:.1f}; {arguments.rounds} rounds.\n\n"
            + table(results, arguments.side**2 * 3)
        )
    print(text)
    write_section(text, "convert", "Conversion to OME-Zarr", "bench_convert.py")


if __name__ == "__main__":
    main()
