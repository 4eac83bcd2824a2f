"""Make large slides for benchmarks from a small real one: mirrored copies, as a JPEG pyramid."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import tifffile
from bench_figures import ROOT

from napari_medssl.io.slides import open_slide
from napari_medssl.io.slides.halving import halve
from napari_medssl.io.slides.protocol import Pixels

DATA = Path(os.environ.get("MEDSSL_DATA", ROOT.parent / "shared" / "data"))
REAL = DATA / "slides" / "CMU-1-Small-Region.svs"
MPP = 0.499


def mosaic(side: int = 8192, *, part: tuple[int, int, int, int] = (560, 1000, 760, 1900)) -> Pixels:
    """Return mirrored copies of a part of a real H&E slide, shape (side, side, 3).

    `part` is x, y, width and height in pixels of the slide; by default it is nearly all tissue.
    """
    with open_slide(REAL) as slide:
        pixels = slide.read_pixels(0, part[:2], part[2:])
    height, width = pixels.shape[:2]
    reach = ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0))
    return np.pad(pixels, reach, mode="symmetric")[:side, :side]


def write_jpeg_slide(path: Path, pixels: Pixels, *, tile: int = 256, quality: int = 80) -> Path:
    """Write an Aperio-style tiled TIFF, levels by factors of 4 as scanners make them."""
    about = (
        f"Aperio Image Library v12\r\n{pixels.shape[1]}x{pixels.shape[0]}|AppMag = 20|MPP = {MPP}"
    )
    with tifffile.TiffWriter(path) as file:
        level = pixels
        while True:
            file.write(
                level,
                tile=(tile, tile),
                photometric="ycbcr",
                compression="jpeg",
                compressionargs={"level": quality},
                subsampling=(2, 2),
                description=about,
                metadata=None,
                subfiletype=0 if level is pixels else 1,
            )
            if max(level.shape) <= 1024:
                return path
            level = halve(halve(level))
