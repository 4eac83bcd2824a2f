"""Time the reading of tiles, alone and with an encoder; the table goes to RESULTS.md.

One run measures everything side by side on an 8192 x 8192 mosaic of real H&E (tiled JPEG, Aperio
style): `TileReader`, a loop over `openslide.read_region` with Pillow's resize, and a torch
DataLoader over that loop with two workers that are kept. The ways take turns, the fastest of
the rounds counts. CPU rates (tiles in a second of one core's time) hardly depend on other
programs; the load average is printed because the others do.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import torch
from bench_figures import device_name, write_section
from PIL import Image
from synthetic import REAL, mosaic, write_jpeg_slide
from torch import nn

from napari_medssl.io.slides import Slide, open_slide
from napari_medssl.io.tiles import TileReader

PIXELS = 224
SIZES = {"0.5 um/px, whole pixels": 224, "0.57 um/px, resampled": 256, "1 um/px, resampled": 448}
WORKERS = 2
BATCH = 64


class Loop(torch.utils.data.Dataset):
    """What is usually written: one read and one resize a tile; a handle in each process."""

    def __init__(self, path: Path, locations: np.ndarray, size: int) -> None:
        self.path, self.locations, self.size = path, locations, size
        self.slide: openslide.OpenSlide | None = None

    def __len__(self) -> int:
        return len(self.locations)

    def __getitem__(self, number: int) -> np.ndarray:
        if self.slide is None:
            self.slide = openslide.OpenSlide(self.path)
        x, y = self.locations[number].tolist()
        image = self.slide.read_region((x, y), 0, (self.size, self.size)).convert("RGB")
        if self.size != PIXELS:
            image = image.resize((PIXELS, PIXELS), Image.Resampling.BILINEAR)
        return np.array(image)


def grid(side: int, size: int) -> np.ndarray:
    axis = np.arange(0, side - size + 1, size)
    return np.stack([v.ravel() for v in np.meshgrid(axis, axis)], axis=1)


def rates(work: Callable[[], int]) -> tuple[float, float]:
    """Return tiles in a second, and in a second of CPU time of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return count / (time.perf_counter() - wall), count / max(time.process_time() - cpu, 1e-9)


def measure_reading(path: Path, slide: Slide, size: int, rounds: int) -> list[str]:
    """Return a table row for each way of reading tiles of `size` level-0 pixels."""
    locations = grid(slide.dimensions[0], size)
    part = locations[:: max(1, len(locations) // 400)]
    part = part[np.lexsort((part[:, 0], part[:, 1]))]
    rows = locations[: len(locations) // 3]  # neighbours, as the loop's cache likes them
    loader = torch.utils.data.DataLoader(
        Loop(path, rows, size), batch_size=BATCH, num_workers=WORKERS, persistent_workers=True
    )
    ways: dict[str, Callable[[], int]] = {
        "TileReader, 2 threads": lambda: sum(
            len(batch.index)
            for batch in TileReader(slide, locations, size, PIXELS, batch_size=BATCH)
        ),
        "TileReader, 1 thread": lambda: sum(
            len(batch.index)
            for batch in TileReader(slide, rows, size, PIXELS, batch_size=BATCH, workers=1)
        ),
        "openslide loop": lambda: sum(1 for k in range(len(rows)) if len(loop[k])),
        "DataLoader, 2 workers": lambda: sum(len(batch) for batch in loader),
    }
    loop = Loop(path, rows, size)
    best: dict[str, tuple[float, float]] = {}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            found = rates(way)
            if turn:  # the first one warms up
                best[name] = tuple(map(max, found, best.get(name, (0, 0))))
    base_wall, base_cpu = best["openslide loop"]
    return [
        f"| {name} | {wall:.0f} | {wall / base_wall:.1f} | "
        + (f"{cpu:.0f} | {cpu / base_cpu:.1f} |" if "DataLoader" not in name else "- | - |")
        for name, (wall, cpu) in best.items()
    ]


class Block(nn.Module):
    """A residual block of ResNet-18."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outer),
            nn.ReLU(inplace=True),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outer),
        )
        same = inner == outer and stride == 1
        self.side = nn.Identity() if same else nn.Conv2d(inner, outer, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.side(x))


def resnet18() -> nn.Module:
    """Return an encoder of the size of ResNet-18, random weights."""
    widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [Block(*first) for first in widths for first in (first, (first[1], first[1], 1))]
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def small_net() -> nn.Module:
    """Return an encoder of four convolutions."""
    layers: list[nn.Module] = []
    for inner, outer in ((3, 16), (16, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inner, outer, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def encode(network: nn.Module, tiles: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        x = torch.from_numpy(tiles).permute(0, 3, 1, 2).float().div_(255)
        return network(x.contiguous(memory_format=torch.channels_last))


def measure_encoding(
    slide: Slide, name: str, network: nn.Module, count: int, rounds: int
) -> list[str]:
    """Return the table row of one encoder: alone, reading alone, both, and what was possible."""
    network = network.eval().to(memory_format=torch.channels_last)
    locations = grid(slide.dimensions[0], PIXELS)[:count]
    tiles = next(iter(TileReader(slide, locations, PIXELS, PIXELS, batch_size=BATCH))).pixels

    def reader() -> TileReader:
        return TileReader(slide, locations, PIXELS, PIXELS, batch_size=BATCH)

    ways: dict[str, Callable[[], int]] = {
        "decode": lambda: sum(len(batch.index) for batch in reader()),
        "encode": lambda: sum(len(encode(network, tiles)) for _ in range(count // BATCH)),
        "both": lambda: sum(len(encode(network, batch.pixels)) for batch in reader()),
    }
    best = dict.fromkeys(ways, 0.0)
    for turn in range(rounds + 1):
        for way, work in ways.items():
            found = rates(work)[0]
            if turn:
                best[way] = max(best[way], found)
    due = 1 / (1 / best["decode"] + 1 / best["encode"])
    return [
        f"| {name} | {best['decode']:.0f} | {best['encode']:.1f} | {best['both']:.1f} | "
        f"{due:.1f} | {best['both'] / due:.0%} |"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--dry", action="store_true", help="print only")
    options = parser.parse_args()
    if not REAL.exists():
        raise SystemExit("The development data are absent: set MEDSSL_DATA.")
    load = [os.getloadavg()[0]]
    torch.set_num_threads(WORKERS)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_jpeg_slide(Path(folder) / "mosaic.svs", mosaic(options.side))
        with open_slide(path) as slide:
            for name, size in SIZES.items():
                lines += [
                    "",
                    f"{name} ({size} level-0 pixels to {PIXELS}):",
                    "",
                    "| way | tiles/s | times the loop | tiles per CPU second | times the loop |",
                    "|---|---:|---:|---:|---:|",
                    *measure_reading(path, slide, size, options.rounds),
                ]
            lines += [
                "",
                "With an encoder on the same cores, batches of 64 tiles of 224 pixels:",
                "",
                "| encoder | decode D | encode E | both | 1 / (1/D + 1/E) | reached |",
                "|---|---:|---:|---:|---:|---:|",
                *measure_encoding(slide, "ResNet-18", resnet18(), 3 * BATCH, options.rounds),
                *measure_encoding(
                    slide, "four convolutions", small_net(), 16 * BATCH, options.rounds
                ),
            ]
    load.append(os.getloadavg()[0])
    head = (
        f"Device: {device_name('cpu')}. Load average of the machine at the start {load[0]:.1f}, at "
        f"the end {load[1]:.1f}. Fastest of {options.rounds} rounds."
    )
    text = "\n".join([head, *lines])
    print(text)
    if not options.dry:
        write_section(text, "tiles", "Tiles: reading and encoding", "bench_tiles.py")


if __name__ == "__main__":
    main()
