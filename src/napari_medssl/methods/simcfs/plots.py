"""Draw plots with axes: lines, points, bars, boxes, steps and histograms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from napari_medssl.methods.simcfs.theme import (
    Color,
    Rng,
    Theme,
    cut_to_ink,
    draw_legend,
    font,
    text_image,
    words,
)


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
        draw_legend(d, (x1 + 6, y0 + 4), rng, theme, small)
    elif rich and rng.random() < 0.3:
        draw_legend(d, (int(x0 + (x1 - x0) * rng.uniform(0.03, 0.55)), y0 + 4), rng, theme, small)
    return cut_to_ink(image, theme.ground)


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
