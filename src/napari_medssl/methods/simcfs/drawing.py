"""Draw the panels that no pool of photographs holds: plots, diagrams, tables, blots, text.

Everything is drawn with Pillow's own font, so a figure depends on the seed alone and not on the
fonts of a machine. Each `draw_*` function returns an RGB image whose ink touches its edges: the
extent of the image is the extent of the panel.

More than 300 lines: one small drawing function for each kind of panel, all of one form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Rng = np.random.Generator

_WORDS = (
    "cell", "count", "signal", "dose", "time", "day", "week", "control", "treated", "vehicle",
    "normal", "tumour", "liver", "lung", "relative", "expression", "intensity", "fold", "change",
    "protein", "level", "rate", "ratio", "mean", "area", "volume", "weight", "response",
    "survival", "events", "patients", "samples", "score", "index", "density", "distance", "depth",
    "loss", "accuracy", "epoch", "frequency", "group", "baseline", "concentration", "activity",
    "uptake", "binding", "growth", "age", "male", "female",
)  # fmt: skip
_UNITS = ("%", "a.u.", "mm", "µm", "mg/kg", "s", "h", "days", "nM", "log10", "kDa", "mV")
_PALETTES: tuple[tuple[Color, ...], ...] = (
    ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75)),
    ((0, 0, 0), (110, 110, 110), (180, 180, 180), (60, 60, 60), (220, 220, 220)),
    ((228, 26, 28), (55, 126, 184), (77, 175, 74), (152, 78, 163), (255, 127, 0)),
    ((200, 30, 30), (30, 30, 200), (20, 20, 20), (30, 140, 60)),
    ((102, 194, 165), (252, 141, 98), (141, 160, 203), (231, 138, 195), (166, 216, 84)),
)


_RAMPS: tuple[tuple[Color, Color, Color], ...] = (
    ((0, 160, 0), (0, 0, 0), (230, 0, 0)),
    ((30, 60, 200), (255, 255, 255), (200, 30, 30)),
    ((68, 1, 84), (33, 145, 140), (253, 231, 37)),
    ((255, 255, 255), (240, 140, 90), (120, 0, 20)),
)


@dataclass(frozen=True)
class Theme:
    """The look that the drawn panels of one figure share."""

    ink: Color
    ground: Color
    palette: tuple[Color, ...]
    font_size: int
    frame: str  # "box", "axes" or "grid"
    line_width: int
    bold: bool


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own scalable font at `size` pixels."""
    return ImageFont.load_default(max(6, size))


def random_theme(rng: Rng, ground: Color, font_size: int) -> Theme:
    """Draw the look of a figure; ink contrasts with `ground`."""
    dark = sum(ground) < 300
    ink: Color = (235, 235, 235) if dark else (0, 0, 0) if rng.random() < 0.7 else (60, 60, 60)
    return Theme(
        ink=ink,
        ground=ground,
        palette=_PALETTES[rng.integers(len(_PALETTES))],
        font_size=font_size,
        frame=str(rng.choice(["box", "axes", "grid"], p=[0.4, 0.4, 0.2])),
        line_width=int(rng.choice([1, 1, 2])),
        bold=bool(rng.random() < 0.3),
    )


def words(rng: Rng, most: int = 3, *, unit: bool = False) -> str:
    """Return a short label such as an axis or a title carries."""
    chosen = [str(w) for w in rng.choice(_WORDS, rng.integers(1, most + 1))]
    text = " ".join(chosen)
    text = text.capitalize() if rng.random() < 0.7 else text
    if unit and rng.random() < 0.5:
        text += f" ({rng.choice(_UNITS)})"
    return text


def text_image(
    text: str, size: int, ink: Color, ground: Color, *, bold: bool = False
) -> Image.Image:
    """Return `text` as an image cut to its ink."""
    face = font(size)
    stroke = 1 if bold and size >= 14 else 0
    left, top, right, bottom = face.getbbox(text, stroke_width=stroke)
    image = Image.new("RGB", (max(1, int(right - left)), max(1, int(bottom - top))), ground)
    ImageDraw.Draw(image).text(
        (-left, -top), text, fill=ink, font=face, stroke_width=stroke, stroke_fill=ink
    )
    return image


# --------------------------------------------------------------------------- plots


def _marks_line(
    d: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: Rng, theme: Theme
) -> None:
    x0, y0, x1, y1 = box
    count = int(rng.integers(3, 40))
    x = np.linspace(x0 + 2, x1 - 2, count)
    trend = rng.choice(["up", "down", "walk", "wave", "decay"])
    for k in range(int(rng.integers(1, 5))):
        t = np.linspace(0, 1, count)
        base = {
            "up": t ** rng.uniform(0.3, 2.5),
            "down": 1 - t ** rng.uniform(0.3, 2.5),
            "walk": np.cumsum(rng.normal(0, 0.15, count)) * 0.5 + 0.5,
            "wave": 0.5 + 0.4 * np.sin(t * rng.uniform(3, 25) + k),
            "decay": np.exp(-t * rng.uniform(1, 9)),
        }[str(trend)]
        y = np.clip(base * rng.uniform(0.4, 1) + rng.normal(0, rng.uniform(0, 0.06), count), 0, 1)
        py = y1 - 2 - y * (y1 - y0 - 4)
        color = theme.palette[k % len(theme.palette)]
        points = [(float(a), float(b)) for a, b in zip(x, py, strict=True)]
        d.line(points, fill=color, width=int(rng.integers(1, 4)))
        if count < 15 and rng.random() < 0.6:
            r = int(rng.integers(2, 5))
            for a, b in points:
                d.ellipse((a - r, b - r, a + r, b + r), fill=color)
                if rng.random() < 0.5:
                    d.line((a, b - 3 * r, a, b + 3 * r), fill=theme.ink)


def _marks_scatter(
    d: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: Rng, theme: Theme
) -> None:
    x0, y0, x1, y1 = box
    for k in range(int(rng.integers(1, 6))):
        n = int(rng.choice([8, 25, 60, 160]))
        spread = rng.uniform(0.03, 0.2, 2)
        cx, cy = rng.uniform(0.15, 0.85, 2)
        u, v = rng.normal(0, 1, (2, n))
        v = v + u * rng.uniform(-1.5, 1.5)
        px = np.clip(cx + u * spread[0], 0.01, 0.99) * (x1 - x0) + x0
        py = np.clip(cy + v * spread[1], 0.01, 0.99) * (y1 - y0) + y0
        r = float(rng.choice([1, 1.5, 2.5]))
        color = theme.palette[k % len(theme.palette)]
        for a, b in zip(px, py, strict=True):
            d.ellipse((a - r, b - r, a + r, b + r), fill=color)


def _marks_bars(
    d: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: Rng, theme: Theme
) -> None:
    x0, y0, x1, y1 = box
    n = int(rng.integers(2, 14))
    series = int(rng.integers(1, 4)) if n < 8 else 1
    across = rng.random() < 0.2
    step = ((y1 - y0) if across else (x1 - x0)) / n
    fill = rng.random() < 0.75
    for i in range(n):
        for s in range(series):
            value = rng.uniform(0.05, 0.9)
            color = theme.palette[
                (s if series > 1 else int(rng.random() < 0.3)) % len(theme.palette)
            ]
            a = (i + 0.15 + 0.7 * s / series) * step
            b = (i + 0.15 + 0.7 * (s + 1) / series) * step
            bar = (
                (x0 + 1, y0 + a, x0 + value * (x1 - x0), y0 + b)
                if across
                else (x0 + a, y1 - value * (y1 - y0), x0 + b, y1 - 1)
            )
            d.rectangle(bar, fill=color if fill else None, outline=theme.ink)
            if not across and rng.random() < 0.6:
                m, top = (bar[0] + bar[2]) / 2, bar[1]
                d.line((m, top - 0.06 * (y1 - y0), m, top), fill=theme.ink)
    if rng.random() < 0.3 and n > 1 and not across:
        top = y0 + rng.uniform(0, 0.08) * (y1 - y0)
        d.line((x0 + 0.4 * step, top, x0 + 1.5 * step, top), fill=theme.ink)
        d.text(
            (x0 + 0.8 * step, top - 8),
            "***"[: int(rng.integers(1, 4))],
            fill=theme.ink,
            font=font(10),
        )


def _marks_boxes(
    d: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: Rng, theme: Theme
) -> None:
    x0, y0, x1, y1 = box
    n = int(rng.integers(2, 9))
    step, height = (x1 - x0) / n, y1 - y0
    violin = rng.random() < 0.35
    for i in range(n):
        c = x0 + (i + 0.5) * step
        lo, q1, m, q3, hi = y1 - np.sort(rng.uniform(0.05, 0.95, 5)) * height
        color = theme.palette[i % len(theme.palette)]
        if violin:
            t = np.linspace(-1, 1, 24)
            width = step * 0.4 * np.exp(-3 * t**2)
            ys = (lo + hi) / 2 + t * (hi - lo) / 2
            right = [(float(c + w), float(y)) for w, y in zip(width, ys, strict=True)]
            left = [(float(c - w), float(y)) for w, y in zip(width, ys, strict=True)][::-1]
            d.polygon(right + left, fill=color, outline=theme.ink)
            continue
        d.line((c, hi, c, lo), fill=theme.ink)
        d.rectangle((c - step * 0.3, q3, c + step * 0.3, q1), fill=color, outline=theme.ink)
        d.line((c - step * 0.3, m, c + step * 0.3, m), fill=theme.ink, width=2)
        for y in rng.uniform(y0, y1, int(rng.integers(0, 9))):
            jitter = c + rng.normal(0, step * 0.08)
            d.ellipse((jitter - 1, y - 1, jitter + 1, y + 1), outline=theme.ink)


def _marks_steps(
    d: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: Rng, theme: Theme
) -> None:
    x0, y0, x1, y1 = box
    for k in range(int(rng.integers(1, 4))):
        n = int(rng.integers(5, 25))
        xs = np.sort(rng.uniform(x0, x1, n))
        ys = np.sort(rng.uniform(y0 + 3, y0 + (y1 - y0) * rng.uniform(0.3, 1), n))
        points = [(float(x0), float(y0 + 3))]
        for a, b in zip(xs, ys, strict=True):
            points += [(float(a), points[-1][1]), (float(a), float(b))]
        points.append((float(x1), points[-1][1]))
        d.line(points, fill=theme.palette[k % len(theme.palette)], width=int(rng.integers(1, 3)))


def _marks_histogram(
    d: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: Rng, theme: Theme
) -> None:
    x0, y0, x1, y1 = box
    n = int(rng.integers(10, 50))
    for k in range(int(rng.integers(1, 3))):
        c, s = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.25)
        t = np.linspace(0, 1, n)
        h = np.exp(-((t - c) ** 2) / (2 * s * s)) * rng.uniform(0.5, 0.95)
        h = h * rng.uniform(0.8, 1.0, n)
        step = (x1 - x0) / n
        for i in range(n):
            top = y1 - h[i] * (y1 - y0)
            d.rectangle(
                (x0 + i * step, top, x0 + (i + 1) * step, y1),
                fill=theme.palette[k % len(theme.palette)],
            )


_MARKS: tuple[Callable[[ImageDraw.ImageDraw, tuple[int, int, int, int], Rng, Theme], None], ...] = (
    _marks_line, _marks_line, _marks_scatter, _marks_scatter, _marks_bars, _marks_bars,
    _marks_boxes, _marks_steps, _marks_histogram,
)  # fmt: skip


def draw_plot(
    rng: Rng, width: int, height: int, theme: Theme, *, title: bool = False
) -> Image.Image:
    """Draw a plot with axes, ticks, tick labels, axis labels and, sometimes, a legend."""
    image = Image.new("RGB", (width, height), theme.ground)
    d = ImageDraw.Draw(image)
    size = int(np.clip(theme.font_size * rng.uniform(0.8, 1.0), 7, max(7, height // 7)))
    small = max(7, int(size * 0.85))
    rich = min(width, height) > 90
    has_y, has_x, has_ticks = (
        rich and rng.random() < 0.75,
        rich and rng.random() < 0.75,
        rng.random() < 0.93,
    )
    legend_beside = rich and width > 160 and rng.random() < 0.12
    tick_width = (
        int(small * (0.6 if has_ticks else 0) * rng.choice([1, 2, 3, 4])) if has_ticks else 0
    )
    x0 = (int(size * 1.5) if has_y else 0) + tick_width + (4 if has_ticks else 1)
    y1 = height - 1 - (int(size * 1.5) if has_x else 0) - (small + 4 if has_ticks else 1)
    y0 = (int(size * 1.4) if title else 0) + (small // 2 if has_ticks else 0)
    legend_width = int(width * rng.uniform(0.15, 0.28)) if legend_beside else 0
    x1 = width - 1 - legend_width - (small if has_ticks else 0)
    if x1 - x0 < 20 or y1 - y0 < 20:
        x0, y0, x1, y1, has_x, has_y, has_ticks = 0, 0, width - 1, height - 1, False, False, False
    box = (x0, y0, x1, y1)
    _axes(d, box, rng, theme, small if has_ticks else 0)
    _MARKS[rng.integers(len(_MARKS))](d, box, rng, theme)
    if title:
        t = text_image(words(rng, 4), size, theme.ink, theme.ground, bold=theme.bold)
        image.paste(t, (max(0, (x0 + x1 - t.width) // 2), 0))
    if has_x:
        t = text_image(words(rng, 3, unit=True), size, theme.ink, theme.ground, bold=theme.bold)
        image.paste(t, (max(0, (x0 + x1 - t.width) // 2), height - t.height))
    if has_y:
        t = text_image(words(rng, 3, unit=True), size, theme.ink, theme.ground, bold=theme.bold)
        t = t.transpose(Image.Transpose.ROTATE_90)
        image.paste(t, (0, max(0, (y0 + y1 - t.height) // 2)))
    if legend_beside:
        _legend(d, (x1 + 6, y0 + 4), rng, theme, small)
    elif rich and rng.random() < 0.3:
        _legend(d, (int(x0 + (x1 - x0) * rng.uniform(0.03, 0.55)), y0 + 4), rng, theme, small)
    return _cut_to_ink(image, theme.ground)


def _axes(
    d: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: Rng, theme: Theme, small: int
) -> None:
    x0, y0, x1, y1 = box
    pale: Color = tuple((3 * g + i) // 4 for g, i in zip(theme.ground, theme.ink, strict=True))  # type: ignore[assignment]
    nx, ny = int(rng.integers(2, 8)), int(rng.integers(2, 7))
    if theme.frame == "grid":
        shade = (234, 234, 242) if sum(theme.ground) > 600 and rng.random() < 0.4 else None
        d.rectangle(box, fill=shade)
        for x in np.linspace(x0, x1, nx + 1):
            d.line((x, y0, x, y1), fill=pale if shade is None else (255, 255, 255))
        for y in np.linspace(y0, y1, ny + 1):
            d.line((x0, y, x1, y), fill=pale if shade is None else (255, 255, 255))
    if theme.frame == "box":
        d.rectangle(box, outline=theme.ink, width=theme.line_width)
    else:
        d.line((x0, y0, x0, y1), fill=theme.ink, width=theme.line_width)
        d.line((x0, y1, x1, y1), fill=theme.ink, width=theme.line_width)
    if not small:
        return
    face = font(small)
    start, step = (
        float(rng.choice([0, 0, -1, 10, 0.5])),
        float(rng.choice([1, 5, 10, 0.1, 0.25, 200])),
    )
    for i, x in enumerate(np.linspace(x0, x1, nx + 1)):
        d.line((x, y1, x, y1 + 3), fill=theme.ink)
        d.text((x, y1 + 4), f"{start + i * step:g}", fill=theme.ink, font=face, anchor="mt")
    for i, y in enumerate(np.linspace(y1, y0, ny + 1)):
        d.line((x0 - 3, y, x0, y), fill=theme.ink)
        d.text((x0 - 5, y), f"{start + i * step:g}", fill=theme.ink, font=face, anchor="rm")


def _legend(
    d: ImageDraw.ImageDraw, at: tuple[int, int], rng: Rng, theme: Theme, small: int
) -> None:
    x, y = at
    for k in range(int(rng.integers(2, 5))):
        color = theme.palette[k % len(theme.palette)]
        d.rectangle((x, y + 2, x + small, y + small - 2), fill=color)
        d.text((x + small + 4, y), words(rng, 1), fill=theme.ink, font=font(small))
        y += small + 4


def _cut_to_ink(image: Image.Image, ground: Color) -> Image.Image:
    pixels = np.asarray(image)
    ink = (np.abs(pixels.astype(np.int16) - np.array(ground, np.int16)).max(axis=2)) > 24
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if rows.size == 0:
        return image
    return image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


# ------------------------------------------------------------------ other drawn panels


def draw_heatmap(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw a clustered heat map, sometimes with dendrograms, labels and a colour bar."""
    image = Image.new("RGB", (width, height), theme.ground)
    d = ImageDraw.Draw(image)
    tree = rng.random() < 0.5
    top = int(height * rng.uniform(0.08, 0.22)) if tree else 0
    left = int(width * rng.uniform(0.08, 0.2)) if tree and rng.random() < 0.6 else 0
    right = int(width * rng.uniform(0.05, 0.2)) if rng.random() < 0.6 else 0
    rows, columns = int(rng.integers(4, 50)), int(rng.integers(4, 50))
    values = rng.normal(0, 1, (rows, columns)) + np.outer(
        rng.normal(0, 1, rows), rng.normal(0, 1, columns)
    )
    t = np.clip((values + 2) / 4, 0, 1)[..., None]
    low, mid, high = (np.array(c, float) for c in _RAMPS[rng.integers(len(_RAMPS))])
    rgb = np.where(t < 0.5, low + (mid - low) * 2 * t, mid + (high - mid) * (2 * t - 1)).astype(
        np.uint8
    )
    body = (max(20, width - left - right), max(20, height - top))
    image.paste(Image.fromarray(rgb).resize(body, Image.Resampling.NEAREST), (left, top))
    if tree:
        _dendrogram(d, rng, (left, 0, left + body[0], top), theme.ink)
    if left:
        for y in np.linspace(top + 4, height - 4, 14):
            d.line((rng.uniform(0, left * 0.8), y, left, y), fill=theme.ink)
    if right:
        size = max(6, min(11, body[1] // rows if rows else 8))
        for y in np.arange(top, height - size, max(size, body[1] / rows)):
            d.text((left + body[0] + 3, y), words(rng, 1), fill=theme.ink, font=font(size))
    return _cut_to_ink(image, theme.ground)


def _dendrogram(
    d: ImageDraw.ImageDraw, rng: Rng, box: tuple[int, int, int, int], ink: Color
) -> None:
    x0, y0, x1, y1 = box
    nodes = [(float(x), float(y1)) for x in np.linspace(x0 + 3, x1 - 3, 16)]
    level = 0.0
    while len(nodes) > 1:
        level += 1
        i = int(rng.integers(len(nodes) - 1))
        (xa, ya), (xb, yb) = nodes[i], nodes[i + 1]
        y = y1 - (y1 - y0) * level / 15.5
        d.line([(xa, ya), (xa, y), (xb, y), (xb, yb)], fill=ink)
        nodes[i : i + 2] = [((xa + xb) / 2, y)]


def draw_diagram(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw boxes and ellipses with words in them, joined by arrows."""
    image = Image.new("RGB", (width, height), theme.ground)
    d = ImageDraw.Draw(image)
    across, down = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    centres: list[tuple[float, float]] = []
    for i in range(across):
        for j in range(down):
            if rng.random() < 0.8:
                centres.append(
                    (
                        (i + rng.uniform(0.4, 0.6)) * width / across,
                        (j + rng.uniform(0.4, 0.6)) * height / down,
                    )
                )
    for a, b in pairwise(centres):
        d.line((*a, *b), fill=theme.ink, width=int(rng.integers(1, 4)))
        mx, my = (a[0] + 2 * b[0]) / 3, (a[1] + 2 * b[1]) / 3
        d.polygon([(mx, my - 5), (mx + 6, my), (mx, my + 5)], fill=theme.ink)
    w, h = width / across * rng.uniform(0.5, 0.8), height / down * rng.uniform(0.3, 0.6)
    for cx, cy in centres:
        shape = d.ellipse if rng.random() < 0.4 else d.rectangle
        fill = (
            theme.palette[rng.integers(len(theme.palette))] if rng.random() < 0.5 else theme.ground
        )
        shape(
            (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2),
            fill=fill,
            outline=theme.ink,
            width=int(rng.integers(1, 3)),
        )
        d.text(
            (cx, cy),
            words(rng, 2),
            fill=theme.ink,
            font=font(min(theme.font_size, int(h / 2) + 6)),
            anchor="mm",
        )
    return _cut_to_ink(image, theme.ground)


def draw_table(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw rows and columns of words and numbers with ruled lines."""
    image = Image.new("RGB", (width, height), theme.ground)
    d = ImageDraw.Draw(image)
    size = int(np.clip(theme.font_size * 0.8, 7, 16))
    rows, columns = max(2, int(height / (size * rng.uniform(1.3, 2.2)))), int(rng.integers(2, 6))
    ruled = rng.random() < 0.5
    for r in range(rows):
        y = r * height / rows
        if r in (0, 1) or ruled:
            d.line((0, y, width - 1, y), fill=theme.ink)
        for c in range(columns):
            text = (
                words(rng, 2)
                if r == 0 or c == 0
                else f"{rng.uniform(0, 99):.{rng.integers(0, 3)}f}"
            )
            d.text((c * width / columns + 2, y + 2), text, fill=theme.ink, font=font(size))
    d.line((0, height - 1, width - 1, height - 1), fill=theme.ink)
    return _cut_to_ink(image, theme.ground)


def draw_blot(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw strips of a western blot: dark bands on a grey ground, one strip a protein."""
    strips = int(rng.integers(1, 5))
    lanes = int(rng.integers(3, 10))
    label = int(width * rng.uniform(0.15, 0.25)) if rng.random() < 0.7 else 0
    gap = int(rng.integers(2, 8))
    image = Image.new("RGB", (width, height), theme.ground)
    d = ImageDraw.Draw(image)
    top = int(theme.font_size * 1.4) if rng.random() < 0.5 else 0
    tall = max(10, (height - top - gap * (strips - 1)) // strips)
    yy, xx = np.mgrid[0:tall, 0 : max(10, width - label)]
    for s in range(strips):
        grey = np.full(yy.shape, rng.uniform(190, 235)) + rng.normal(0, 4, yy.shape)
        for k in range(lanes):
            cx, cy = (k + 0.5) * yy.shape[1] / lanes, tall * rng.uniform(0.4, 0.6)
            sx, sy = yy.shape[1] / lanes * 0.3, tall * rng.uniform(0.08, 0.2)
            grey -= rng.uniform(0, 190) * np.exp(
                -(np.abs((xx - cx) / sx) ** 4) - ((yy - cy) / sy) ** 2
            )
        y = top + s * (tall + gap)
        strip = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
        image.paste(strip, (label, y))
        d.rectangle((label, y, width - 1, y + tall - 1), outline=theme.ink)
        if label:
            d.text(
                (0, y + tall / 2),
                words(rng, 1)[:8],
                fill=theme.ink,
                font=font(theme.font_size),
                anchor="lm",
            )
    if top:
        for k in range(lanes):
            d.text(
                (label + (k + 0.5) * (width - label) / lanes, top - 2),
                str(k + 1),
                fill=theme.ink,
                font=font(10),
                anchor="mb",
            )
    return _cut_to_ink(image, theme.ground)


def draw_venn(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw two or three overlapping circles, or a pie, with numbers."""
    image = Image.new("RGB", (width, height), theme.ground)
    side = min(width, height)
    if rng.random() < 0.4:
        d = ImageDraw.Draw(image)
        cuts = np.sort(rng.uniform(0, 360, int(rng.integers(2, 7))))
        for k, (a, b) in enumerate(zip(cuts, [*cuts[1:], cuts[0] + 360], strict=True)):
            d.pieslice(
                (2, 2, side - 2, side - 2),
                a,
                b,
                fill=theme.palette[k % len(theme.palette)],
                outline=theme.ink,
            )
        return _cut_to_ink(image, theme.ground)
    pixels = np.asarray(image).astype(float)
    yy, xx = np.mgrid[0:height, 0:width]
    for k in range(int(rng.integers(2, 4))):
        r = side * rng.uniform(0.2, 0.3)
        cx, cy = width / 2 + rng.uniform(-0.6, 0.6) * r, height / 2 + rng.uniform(-0.6, 0.6) * r
        inside = ((xx - cx) ** 2 + (yy - cy) ** 2 < r * r)[..., None]
        pixels = np.where(
            inside, 0.6 * pixels + 0.4 * np.array(theme.palette[k % len(theme.palette)]), pixels
        )
    image = Image.fromarray(pixels.astype(np.uint8))
    ImageDraw.Draw(image).text(
        (width / 2, height / 2),
        str(rng.integers(1, 900)),
        fill=theme.ink,
        font=font(theme.font_size),
        anchor="mm",
    )
    return _cut_to_ink(image, theme.ground)


def draw_any(
    rng: Rng, width: int, height: int, theme: Theme, kind: str = "any", *, title: bool = False
) -> Image.Image:
    """Draw a panel of `kind`: "plot", "heatmap", "diagram", "table", "blot", "venn" or "any"."""
    if kind == "any":
        kind = str(
            rng.choice(
                ["plot", "heatmap", "diagram", "table", "blot", "venn"],
                p=[0.66, 0.08, 0.09, 0.05, 0.07, 0.05],
            )
        )
    width, height = max(width, 24), max(height, 24)
    if kind == "plot":
        return draw_plot(rng, width, height, theme, title=title)
    draw = {
        "heatmap": draw_heatmap,
        "diagram": draw_diagram,
        "table": draw_table,
        "blot": draw_blot,
        "venn": draw_venn,
    }
    return draw[kind](rng, width, height, theme)
