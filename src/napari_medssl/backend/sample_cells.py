"""Made-up pictures of blood cells of four kinds, to try a map or a clustering with.

Light, stain and ground differ from picture to picture, as they do from slide to slide; the kinds
are folders. Nothing is downloaded: each picture is drawn from the seed and its number.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from napari_medssl.backend.folders import cache_folder
from napari_medssl.io.files import write_all_whole
from napari_medssl.io.png_files import png_bytes

KINDS = ("granulocyte", "lymphocyte", "monocyte", "platelets")
OF_EACH = 40
SIDE = 64

_FINE = 4  # drawn so many times as large
_NAME = "sample cells"
_Color = tuple[int, int, int]


def sample_cells_folder() -> Path:
    """Return the folder of the sample in the cache, with what is missing of it made."""
    folder = cache_folder() / "samples" / _NAME
    wanted = {
        folder / kind / f"{kind} {number:02}.png": (kind, number)
        for kind in KINDS
        for number in range(1, OF_EACH + 1)
    }
    lacking = {path: cell for path, cell in wanted.items() if not path.is_file()}
    for kind in KINDS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    write_all_whole({path: png_bytes(draw_cell(*cell)) for path, cell in lacking.items()})
    return folder


def cells_on_one_sheet(columns: int = 20) -> NDArray[np.uint8]:
    """Return all pictures of the sample side by side, RGB, shape (Y, X, 3), a kind in each band."""
    rows = [
        np.concatenate(
            [draw_cell(kind, number) for number in range(start, start + columns)], axis=1
        )
        for kind in KINDS
        for start in range(1, OF_EACH + 1, columns)
    ]
    return np.concatenate(rows)


def draw_cell(kind: str, number: int, seed: int = 11) -> NDArray[np.uint8]:
    """Return one picture, RGB, shape (SIDE, SIDE, 3).

    Parameters
    ----------
    kind
        One of `KINDS`.
    number
        Another one is another cell of that kind.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind), number])
    ground = _shaded((232, 214, 214), rng, 7)
    canvas = Image.new("RGB", (SIDE * _FINE, SIDE * _FINE), ground)
    pen = ImageDraw.Draw(canvas)
    red = _shaded((214, 150, 152), rng, 10)
    for _ in range(int(rng.integers(2, 6))):  # red cells about it, partly out of sight
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(27, 38)
        _disc(pen, 32 + far * np.cos(angle), 32 + far * np.sin(angle), rng.uniform(8, 10), red)
    _DRAW[kind](pen, rng)
    soft = canvas.filter(ImageFilter.GaussianBlur(_FINE * rng.uniform(0.4, 0.9)))
    pixels = np.asarray(soft.resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float64)
    pixels = pixels * rng.uniform(0.85, 1.08) + rng.normal(0, 4, 3) + rng.normal(0, 3, pixels.shape)
    return np.asarray(np.clip(pixels, 0, 255).round(), np.uint8)


def _granulocyte(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    x, y = _body(pen, rng, (15, 17.5), (226, 178, 196))
    for _ in range(90):
        angle, far = rng.uniform(0, 2 * np.pi), 14 * np.sqrt(rng.uniform())
        _disc(pen, x + far * np.cos(angle), y + far * np.sin(angle), 0.8, (190, 110, 140))
    ink, turn = _nucleus(rng), rng.uniform(0, 2 * np.pi)
    lobes = int(rng.integers(3, 5))
    for lobe in range(lobes):
        angle = turn + lobe * 4.2 / lobes
        _disc(pen, x + 8 * np.cos(angle), y + 8 * np.sin(angle), rng.uniform(4, 5), ink)


def _lymphocyte(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    x, y = _body(pen, rng, (10.5, 12), (170, 180, 220))
    _disc(pen, x + rng.normal(0, 0.7), y + rng.normal(0, 0.7), rng.uniform(9, 10), _nucleus(rng))


def _monocyte(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    color = (186, 186, 206)
    x, y = _body(pen, rng, (18, 21), color)
    angle = rng.uniform(0, 2 * np.pi)
    _disc(pen, x, y, rng.uniform(11.5, 13.5), _nucleus(rng))
    _disc(pen, x + 11 * np.cos(angle), y + 11 * np.sin(angle), rng.uniform(6, 8), color)


def _platelets(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 5))):
        x, y = 32 + rng.normal(0, 6, 2)
        _disc(pen, x, y, rng.uniform(2.5, 4), _shaded((150, 110, 170), rng, 10))


_DRAW = dict(zip(KINDS, (_granulocyte, _lymphocyte, _monocyte, _platelets), strict=True))


def _body(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, sizes: tuple[float, float], color: _Color
) -> tuple[float, float]:
    """Draw the cell without its nucleus; return its middle."""
    x, y = 32 + rng.normal(0, 2, 2)
    _disc(pen, x, y, rng.uniform(*sizes), color)
    return float(x), float(y)


def _nucleus(rng: np.random.Generator) -> _Color:
    return _shaded((96, 62, 138), rng, 12)


def _shaded(color: _Color, rng: np.random.Generator, spread: float) -> _Color:
    red, green, blue = np.clip(np.array(color) + rng.normal(0, spread, 3), 0, 255).astype(int)
    return int(red), int(green), int(blue)


def _disc(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, color: _Color) -> None:
    box = [(x - radius) * _FINE, (y - radius) * _FINE, (x + radius) * _FINE, (y + radius) * _FINE]
    pen.ellipse([float(value) for value in box], fill=color)
