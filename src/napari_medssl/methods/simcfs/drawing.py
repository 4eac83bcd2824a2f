"""Draw the panels that no pool of photographs holds: maps, tables, blots, circles, bodies.

Each `draw_*` function returns an RGB image whose ink touches its edges: the extent of the image is
the extent of the panel.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from napari_medssl.methods.simcfs.diagrams import (
    draw_diagram,
    draw_flow_chart,
    draw_network,
    draw_tree,
)
from napari_medssl.methods.simcfs.plots import draw_plot
from napari_medssl.methods.simcfs.theme import Color, Rng, Theme, cut_to_ink, font, words

_RAMPS: tuple[tuple[Color, Color, Color], ...] = (
    ((0, 160, 0), (0, 0, 0), (230, 0, 0)),
    ((30, 60, 200), (255, 255, 255), (200, 30, 30)),
    ((68, 1, 84), (33, 145, 140), (253, 231, 37)),
    ((255, 255, 255), (240, 140, 90), (120, 0, 20)),
)


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
    if rng.random() < 0.35:
        _strips(rng, image, (left, top, body[0], max(3, body[1] // 14)), theme)
    if tree:
        _dendrogram(d, rng, (left, 0, left + body[0], top), theme.ink)
    if left:
        for y in np.linspace(top + 4, height - 4, 14):
            d.line((rng.uniform(0, left * 0.8), y, left, y), fill=theme.ink)
    if right:
        size = max(6, min(11, body[1] // rows if rows else 8))
        for y in np.arange(top, height - size, max(size, body[1] / rows)):
            d.text((left + body[0] + 3, y), words(rng, 1), fill=theme.ink, font=font(size))
    return cut_to_ink(image, theme.ground)


def _strips(rng: Rng, image: Image.Image, area: tuple[int, int, int, int], theme: Theme) -> None:
    """Bands of coloured bits over a heat map, one band a property of the samples."""
    left, top, width, height = area
    for band in range(int(rng.integers(1, 4))):
        bits = rng.integers(0, len(theme.palette), int(rng.integers(8, 40)))
        colors = np.array(theme.palette, np.uint8)[bits][None]
        strip = Image.fromarray(colors).resize((width, height), Image.Resampling.NEAREST)
        image.paste(strip, (left, top + band * (height + 2)))


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
    return cut_to_ink(image, theme.ground)


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
    return cut_to_ink(image, theme.ground)


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
        return cut_to_ink(image, theme.ground)
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
    return cut_to_ink(image, theme.ground)


def draw_objects(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw one to three shaded bodies apart on the ground, as renderings of organs are shown."""
    yy, xx = np.mgrid[0:height, 0:width]
    pixels = np.broadcast_to(np.array(theme.ground, float), (height, width, 3)).copy()
    count = int(rng.integers(1, 4))
    color = rng.uniform(40, 220, 3)
    for k in range(count):
        cx, cy = (k + 0.5) * width / count, height * rng.uniform(0.42, 0.58)
        a, b = width / count * rng.uniform(0.3, 0.48), height * rng.uniform(0.3, 0.48)
        angle = np.arctan2(yy - cy, xx - cx)
        wobble = 1 + 0.12 * np.sin(3 * angle + k) + 0.08 * np.sin(7 * angle + 2 * k)
        r = np.hypot((xx - cx) / a, (yy - cy) / b) / wobble
        shade = np.clip(1.1 - 0.6 * r**2 + rng.normal(0, 0.1, r.shape), 0.1, 1.2)[..., None]
        pixels = np.where((r < 1)[..., None], np.clip(color * shade, 0, 255), pixels)
    return cut_to_ink(Image.fromarray(pixels.astype(np.uint8)), theme.ground)


_DRAWN = {
    "heatmap": (draw_heatmap, 0.09),
    "diagram": (draw_diagram, 0.07),
    "table": (draw_table, 0.04),
    "blot": (draw_blot, 0.07),
    "venn": (draw_venn, 0.04),
    "tree": (draw_tree, 0.03),
    "flow chart": (draw_flow_chart, 0.05),
    "network": (draw_network, 0.03),
    "objects": (draw_objects, 0.04),
}


def draw_any(
    rng: Rng,
    width: int,
    height: int,
    theme: Theme,
    kind: str = "any",
    *,
    title: bool = False,
) -> Image.Image:
    """Draw a panel of `kind`: "plot", "any", or one of the other kinds."""
    width, height = max(width, 24), max(height, 24)
    if kind == "any":
        names = list(_DRAWN)
        share = np.array([_DRAWN[name][1] for name in names])
        kind = (
            "plot" if rng.random() > share.sum() else str(rng.choice(names, p=share / share.sum()))
        )
    if kind == "plot":
        return draw_plot(rng, width, height, theme, title=title)
    return _DRAWN[kind][0](rng, width, height, theme)
