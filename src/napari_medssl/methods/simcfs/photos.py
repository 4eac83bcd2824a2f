"""Images as panels: cropped to their cell, annotated, or shown again as mask or overlay."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from napari_medssl.methods.simcfs.headings import Extent, draw_color_bar
from napari_medssl.methods.simcfs.style import Style
from napari_medssl.methods.simcfs.theme import Color, Rng, font, words

Area = tuple[int, int, int, int]


def cover(rng: Rng, picture: Image.Image, width: int, height: int) -> Image.Image:
    """Crop to the aspect of `width` x `height` and resize: no ground is added."""
    s = max(width / picture.width, height / picture.height)
    cw, ch = min(picture.width, width / s), min(picture.height, height / s)
    x, y = rng.uniform(0, picture.width - cw), rng.uniform(0, picture.height - ch)
    box = (x, y, x + cw, y + ch)
    return picture.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=2)


def variant(rng: Rng, base: np.ndarray) -> np.ndarray:
    """Return the image again: as it is, a mask, in false colour, overlaid, brighter or grey."""
    grey = base.mean(axis=2)
    kind = rng.integers(6)
    if kind == 0:
        return base
    cut = np.quantile(grey, rng.uniform(0.3, 0.8))
    if kind == 1:
        return np.repeat(((grey > cut) * 255).astype(np.uint8)[..., None], 3, axis=2)
    if kind == 2:
        low, high = rng.integers(0, 256, (2, 3))
        mapped = low + (high.astype(float) - low) * (grey / 255)[..., None]
        return np.asarray(np.clip(mapped, 0, 255).astype(np.uint8))
    if kind == 3:
        tint = rng.integers(0, 256, 3)
        mixed = np.where((grey > cut)[..., None], 0.5 * base + 0.5 * tint, base)
        return np.asarray(mixed.astype(np.uint8))
    if kind == 4:
        return np.asarray(np.clip(base * rng.uniform(0.5, 1.6), 0, 255).astype(np.uint8))
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def annotate(rng: Rng, picture: Image.Image, style: Style) -> None:
    """Put scale bars, words, arrows, outlines and insets into an image."""
    d, (w, h) = ImageDraw.Draw(picture), picture.size
    if min(w, h) < 60:
        return
    pale: Color = (255, 255, 255) if np.asarray(picture)[-h // 6 :].mean() < 150 else (0, 0, 0)
    if rng.random() < 0.2:
        length = int(w * rng.uniform(0.08, 0.3))
        d.rectangle((w - length - 8, h - 12, w - 8, h - 9), fill=pale)
    if rng.random() < 0.15:
        at = (rng.uniform(2, w / 2), rng.uniform(2, h - 16))
        d.text(at, words(rng, 2), fill=pale, font=font(int(rng.integers(8, 18))))
    for _ in range(int(rng.integers(1, 5)) if rng.random() < 0.15 else 0):
        x, y = rng.uniform(0.1, 0.9) * w, rng.uniform(0.1, 0.9) * h
        d.line((x, y, x + 14, y + 10), fill=pale, width=2)
        d.polygon([(x - 3, y - 3), (x + 6, y), (x, y + 6)], fill=pale)
    if rng.random() < 0.12:
        _outline_objects(rng, d, (w, h), style)
    if rng.random() < 0.08:
        _inset(rng, picture, style)


def _outline_objects(rng: Rng, d: ImageDraw.ImageDraw, size: tuple[int, int], style: Style) -> None:
    """Contours, boxes or a graph over an image, as results of a segmentation are shown."""
    w, h = size
    points = rng.uniform(0, 1, (int(rng.integers(4, 30)), 2)) * size
    kind = rng.integers(3)
    for k, (x, y) in enumerate(points):
        color = style.theme.palette[k % len(style.theme.palette)]
        r = rng.uniform(0.02, 0.08) * min(w, h)
        if kind == 0:
            d.ellipse((x - r, y - r, x + r, y + 1.3 * r), outline=color, width=2)
        elif kind == 1:
            d.rectangle((x - r, y - r, x + r, y + r), outline=color, width=2)
        else:
            d.line((x, y, *points[(k + 1) % len(points)]), fill=style.theme.ink)
            d.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)


def _inset(rng: Rng, picture: Image.Image, style: Style) -> None:
    """Mark a place and, often, show it enlarged in a corner."""
    (w, h), d = picture.size, ImageDraw.Draw(picture)
    x, y = rng.uniform(0.1, 0.6) * w, rng.uniform(0.1, 0.6) * h
    color = style.theme.palette[rng.integers(len(style.theme.palette))]
    d.rectangle((x, y, x + 0.3 * w, y + 0.3 * h), outline=color, width=int(rng.integers(1, 4)))
    if rng.random() < 0.5:
        part = picture.crop((int(x), int(y), int(x + 0.3 * w), int(y + 0.3 * h)))
        part = part.resize((int(0.35 * w), int(0.35 * h)))
        picture.paste(part, (w - part.width, 0 if rng.random() < 0.5 else h - part.height))


def add_ticks(rng: Rng, canvas: Image.Image, area: Area, style: Style) -> tuple[Area, Extent]:
    """Paint numbered axes around an image; return the area left for it and the axes' extent."""
    x0, y0, x1, y1 = area
    size = max(7, style.theme.font_size - 3)
    left, bottom = x0 + int(size * 2.4), y1 - int(size * 1.6)
    d, face = ImageDraw.Draw(canvas), font(size)
    for i in range(5):
        y = y0 + (i + 0.5) * (bottom - y0) / 5
        d.text((left - 4, y), str(i * 100), fill=style.theme.ink, font=face, anchor="rm")
        x = left + (i + 0.5) * (x1 - left) / 5
        d.text((x, bottom + 4), str(i * 100), fill=style.theme.ink, font=face, anchor="mt")
    start = left - 4 - d.textlength("400", font=face)
    return (left, y0, x1, bottom), (start, y0, x1, bottom + 4 + size * 0.8)


def add_color_bar(rng: Rng, canvas: Image.Image, area: Area, style: Style) -> tuple[Area, Extent]:
    """Paint a colour bar beside an image; return the area left for it and the bar's extent."""
    x0, y0, x1, y1 = area
    size = max(7, style.theme.font_size - 4)
    width = 12 + int(ImageDraw.Draw(canvas).textlength("0.25", font=font(size)))
    draw_color_bar(rng, canvas, (x1 - width, y0, x1 - width + 8, y1), style.theme)
    return (x0, y0, x1 - width - 5, y1), (x1 - width, y0, x1 - 1, y1)


def ink_extent(picture: Image.Image, ground: Color, at: tuple[int, int]) -> Extent:
    """Return the extent of what differs from the ground: an unframed image ends at its ink."""
    step = np.abs(np.asarray(picture).astype(np.int16) - np.array(ground, np.int16)).max(axis=2)
    ink = step > 14
    rows = np.flatnonzero(ink.mean(axis=1) > 0.004)
    columns = np.flatnonzero(ink.mean(axis=0) > 0.004)
    x, y = at
    if rows.size < 8 or columns.size < 8:
        return (x, y, x + picture.width, y + picture.height)
    return (x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1)
