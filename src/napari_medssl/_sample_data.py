"""Sample figures and a sample slide, made when they are opened: no download.

The pictures are those that scikit-image carries (free to use); the plots are drawn here, and the
slide has the texture of one of the pictures in outlines drawn at random.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

LayerData = tuple[Any, dict[str, Any], str]

_GAP = 44


def lettered_figure() -> list[LayerData]:
    """Return a figure of five panels with letters: three pictures over two plots."""
    canvas = Image.new("RGB", (1040, 760), "white")
    for n, name in enumerate(("ihc", "retina", "cell")):
        at = (40 + n * (290 + _GAP), 40)
        canvas.paste(_picture(name, (290, 290)), at)
        _letter(canvas, "abc"[n], (at[0] - 26, at[1] - 6))
    rng = np.random.default_rng(7)
    canvas.paste(_line_plot(rng, (480, 330)), (40, 390))
    canvas.paste(_bar_plot(rng, (470, 330)), (550, 390))
    _letter(canvas, "d", (14, 394))
    _letter(canvas, "e", (524, 394))
    return [_layer(canvas, "lettered figure")]


def touching_figure() -> list[LayerData]:
    """Return a figure of six panels on black that touch each other, with inner letters."""
    names = ("ihc", "coins", "moon", "retina", "cell", "phantom")
    canvas = Image.new("RGB", (960, 640), "black")
    for n, name in enumerate(names):
        at = (n % 3 * 320, n // 3 * 320)
        canvas.paste(_picture(name, (320, 320)), at)
        _letter(canvas, "ABCDEF"[n], (at[0] + 8, at[1] + 6), ink="white", ground="black")
    return [_layer(canvas, "touching figure")]


def slide() -> list[LayerData]:
    """Return a slide as one multiscale layer in microns; its file is kept in the cache folder."""
    from napari_medssl.backend.folders import cache_folder
    from napari_medssl.io.slides import open_slide
    from napari_medssl.io.slides.layer_data import slide_layer

    path = cache_folder() / "samples" / "sample slide.tif"
    if not path.is_file():
        write_slide(path)
    return [slide_layer(open_slide(path))]


def retina_views() -> list[LayerData]:
    """Return five made-up views of a retina, to place landmarks in one and find them in all.

    They are one photograph, turned, stretched and lit otherwise in each; a few pixels of noise are
    added, so that no two are alike bit by bit.
    """
    from skimage.transform import SimilarityTransform, warp

    rng = np.random.default_rng(3)
    # The rim of the photograph stays in sight.
    eye = np.asarray(_picture("retina", (448, 448)), np.float64) / 255
    layers: list[LayerData] = []
    for number in range(1, 6):
        turn, scale = (0.0, 1.0) if number == 1 else (rng.uniform(-0.3, 0.3), rng.uniform(0.8, 1.1))
        shift = (0.0, 0.0) if number == 1 else tuple(rng.uniform(-40, 40, 2))
        middle = SimilarityTransform(translation=(-223.5, -223.5))
        back = SimilarityTransform(translation=(223.5 + shift[0], 223.5 + shift[1]))
        how = middle + SimilarityTransform(scale=scale, rotation=turn) + back
        light = 1.0 if number == 1 else rng.uniform(0.7, 1.15)
        seen = warp(eye, how.inverse, order=1, mode="constant") * light
        seen += rng.normal(0, 0.012, seen.shape)
        pixels = np.rint(np.clip(seen, 0, 1) * 255).astype(np.uint8)
        options = {"name": f"retina {number}", "rgb": True, "visible": number == 1}
        layers.append((pixels, options, "image"))
    return layers


def blood_cells() -> list[LayerData]:
    """Return the pictures of the sample for the embedding map, side by side.

    The files are made in the cache folder; the widget opens them by Open > Sample.
    """
    from napari_medssl.backend.sample_cells import cells_on_one_sheet, sample_cells_folder

    sample_cells_folder()
    return [(cells_on_one_sheet(), {"name": "sample cells", "rgb": True}, "image")]


def write_slide(path: Path, *, width: int = 5120, height: int = 4096, seed: int = 5) -> None:
    """Write a made-up slide as a tiled JPEG pyramid with 0.5 microns per pixel.

    Parameters
    ----------
    path
        The TIFF file; its folder is made.
    width, height
        Size of level 0.
    seed
        Another one gives another outline.
    """
    import tifffile

    from napari_medssl.io.files import make_folder, replace_whole
    from napari_medssl.io.slides.halving import halve

    pixels = _tissue(width, height, np.random.default_rng(seed))
    make_folder(path.parent)
    with replace_whole(path) as temporary, tifffile.TiffWriter(temporary) as writer:
        for level in range(4):
            writer.write(
                pixels,
                tile=(256, 256),
                subfiletype=1 if level else 0,
                compression="jpeg",
                compressionargs={"level": 85},
                photometric="rgb",
                resolution=(20_000 / 2**level, 20_000 / 2**level),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
            pixels = halve(pixels)


def _tissue(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Return glass with pieces of tissue on it, uint8, shape (Y, X, 3)."""
    from scipy.ndimage import gaussian_filter, zoom
    from skimage import data

    stained = _quilt(_eosin_for_brown(np.asarray(data.immunohistochemistry())), width, height, rng)
    step = 32
    small = (height // step + 1, width // step + 1)
    y, x = np.mgrid[: small[0], : small[1]]
    far = np.hypot((y / small[0] - 0.5) * 2.1, (x / small[1] - 0.5) * 2.1)
    bumps = gaussian_filter(rng.normal(size=small), 9)
    inside = np.clip((0.72 - far + bumps / bumps.std() * 0.16) * 14, 0, 1).astype(np.float32)
    cover = zoom(inside, step, order=1)[:height, :width, None]
    glass = np.array([244, 243, 246], np.float32)
    pixels = glass + (stained - glass) * cover
    pixels += rng.normal(0, 1.5, (height, width, 1)).astype(np.float32)
    return np.asarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _eosin_for_brown(picture: np.ndarray) -> np.ndarray:
    """Return a section of immunohistochemistry as if stained with H&E, float32, 0 to 255."""
    from skimage.color import hed2rgb, rgb2hed

    blue, _, brown = np.moveaxis(rgb2hed(picture), 2, 0)
    stains = np.stack([blue + 0.25 * brown, 0.45 * brown + 0.1 * blue, np.zeros_like(blue)], axis=2)
    return np.asarray(hed2rgb(stains) * 255, np.float32)


def _quilt(picture: np.ndarray, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Return an area covered with pieces of a picture, turned and mirrored at random."""
    side, step, rim = 384, 256, 64
    ramp = np.clip(np.minimum(np.arange(side), np.arange(side)[::-1]) / rim, 0, 1)
    soft = np.minimum.outer(ramp, ramp).astype(np.float32)[..., None]
    area = np.tile(picture.mean(axis=(0, 1)), (height + side, width + side, 1))
    for y in range(0, height, step):
        for x in range(0, width, step):
            top, left = rng.integers(0, picture.shape[0] - side, 2)
            piece = np.rot90(picture[top : top + side, left : left + side], int(rng.integers(4)))
            piece = piece[::-1] if rng.random() < 0.5 else piece
            part = area[y : y + side, x : x + side]
            part += (piece - part) * soft
    return np.asarray(area[side // 4 : side // 4 + height, side // 4 : side // 4 + width])


def _layer(canvas: Image.Image, name: str) -> LayerData:
    return np.asarray(canvas), {"name": name, "rgb": True}, "image"


def _picture(name: str, size: tuple[int, int]) -> Image.Image:
    """Return the middle of one of scikit-image's pictures, scaled to fill `size`."""
    from skimage import data

    load = {
        "ihc": data.immunohistochemistry,
        "retina": data.retina,
        "cell": data.cell,
        "coins": data.coins,
        "moon": data.moon,
        "phantom": data.shepp_logan_phantom,
    }[name]
    pixels = np.asarray(load())
    if pixels.dtype != np.uint8:  # the phantom holds numbers from 0 to 1
        pixels = (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(pixels).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize(size, Image.Resampling.LANCZOS)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _letter(
    canvas: Image.Image,
    letter: str,
    at: tuple[int, int],
    *,
    ink: str = "black",
    ground: str = "white",
) -> None:
    draw = ImageDraw.Draw(canvas)
    draw.text(at, letter, fill=ink, font=_font(28), stroke_width=2, stroke_fill=ground)


def _axes(size: tuple[int, int], x_title: str, y_title: str) -> tuple[Image.Image, tuple[int, ...]]:
    """Return an empty plot and its inner area `x0, y0, x1, y1`."""
    width, height = size
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    area = (62, 12, width - 12, height - 52)
    x0, y0, x1, y1 = area
    draw.line((x0, y0, x0, y1, x1, y1), fill="black", width=2)
    for k in range(6):
        y = y1 - k * (y1 - y0) // 5
        draw.line((x0 - 5, y, x0, y), fill="black")
        draw.text((x0 - 9, y), f"{k * 20}", fill="black", font=_font(13), anchor="rm")
    draw.text(((x0 + x1) // 2, height - 12), x_title, fill="black", font=_font(16), anchor="mm")
    upright = Image.new("RGB", (height, 20), "white")
    middle = (height - y1 + (y1 - y0) // 2, 10)
    ImageDraw.Draw(upright).text(middle, y_title, fill="black", font=_font(16), anchor="mm")
    image.paste(upright.rotate(90, expand=True), (2, 0))
    ImageDraw.Draw(image).line((x0, y0, x0, y1), fill="black", width=2)
    return image, area


def _line_plot(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    image, (x0, y0, x1, y1) = _axes(size, "time (days)", "cells (%)")
    draw = ImageDraw.Draw(image)
    days = np.linspace(0, 1, 12)
    for color, pace in (("#c0392b", 2.5), ("#2471a3", 1.3), ("#229954", 0.6)):
        share = np.exp(-pace * days) + rng.normal(0, 0.015, days.size)
        xs, ys = x0 + days * (x1 - x0), y1 - np.clip(share, 0, 1) * (y1 - y0)
        points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
        draw.line(points, fill=color, width=3)
        for x, y in points:
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=color)
    for n in range(6):
        x = x0 + n * (x1 - x0) // 5
        draw.text((x, y1 + 6), f"{n * 2}", fill="black", font=_font(13), anchor="mt")
    return image


def _bar_plot(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    image, (x0, y0, x1, y1) = _axes(size, "group", "response (%)")
    draw = ImageDraw.Draw(image)
    step = (x1 - x0) / 5
    for n, (title, share) in enumerate(
        zip(("ctrl", "low", "mid", "high", "wash"), (0.15, 0.38, 0.61, 0.85, 0.3), strict=True)
    ):
        left, right = x0 + (n + 0.2) * step, x0 + (n + 0.8) * step
        top = y1 - share * (y1 - y0)
        error = float(rng.uniform(6, 14))
        draw.rectangle((left, top, right, y1), fill="#5d6d7e", outline="black")
        middle = (left + right) / 2
        draw.line((middle, top - error, middle, top + error), fill="black", width=2)
        draw.text((middle, y1 + 6), title, fill="black", font=_font(13), anchor="mt")
    return image
