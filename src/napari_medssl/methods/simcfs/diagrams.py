"""Draw the panels whose parts are joined by lines: diagrams, trees, flow charts, networks.

Each `draw_*` function returns an RGB image whose ink touches its edges: the extent of the image is
the extent of the panel.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from napari_medssl.methods.simcfs.theme import Rng, Theme, cut_to_ink, font, words


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
    return cut_to_ink(image, theme.ground)


def draw_tree(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw a phylogenetic tree: branches to the left, a name at every leaf."""
    image = Image.new("RGB", (width, height), theme.ground)
    d = ImageDraw.Draw(image)
    size = int(np.clip(theme.font_size * 0.7, 6, 12))
    leaves = max(4, int(height / (size * rng.uniform(1.2, 2.0))))
    reach = width * rng.uniform(0.4, 0.7)
    nodes = []
    for y in np.linspace(size, height - size, leaves):
        x = reach * rng.uniform(0.75, 1.0)
        nodes.append((x, float(y)))
        d.text((x + 3, y), words(rng, 3), fill=theme.ink, font=font(size), anchor="lm")
    while len(nodes) > 1:
        i = int(rng.integers(len(nodes) - 1))
        (xa, ya), (xb, yb) = nodes[i], nodes[i + 1]
        x = max(1.0, min(xa, xb) - reach * rng.uniform(0.02, 0.2))
        d.line([(xa, ya), (x, ya), (x, yb), (xb, yb)], fill=theme.ink)
        nodes[i : i + 2] = [(x, (ya + yb) / 2)]
    return cut_to_ink(image, theme.ground)


def draw_flow_chart(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw a column or row of boxes with lines of words in them, joined by arrows."""
    image = Image.new("RGB", (width, height), theme.ground)
    d = ImageDraw.Draw(image)
    steps = int(rng.integers(3, 9))
    down = height > width * 0.7
    size = int(np.clip(theme.font_size * 0.8, 7, 14))
    numbered = rng.random() < 0.3
    along = (height if down else width) / steps
    for k in range(steps):
        a, b = k * along + along * 0.12, (k + 1) * along - along * 0.2
        inset = rng.uniform(0, 0.2) * (width if down else height)
        box = (inset, a, width - inset - 1, b) if down else (a, inset, b, height - inset - 1)
        fill = theme.palette[k % len(theme.palette)] if rng.random() < 0.15 else None
        d.rectangle(box, outline=theme.ink, fill=fill, width=theme.line_width)
        lines = max(1, int((box[3] - box[1]) / (size * 1.4)))
        for line in range(min(lines, int(rng.integers(1, 4)))):
            at = ((box[0] + box[2]) / 2, box[1] + (line + 0.7) * size * 1.3)
            d.text(at, words(rng, 4), fill=theme.ink, font=font(size), anchor="mm")
        if numbered:
            x, y = box[0] + size, box[1]
            d.ellipse((x - size, y, x + size, y + 2 * size), fill=theme.ground, outline=theme.ink)
            d.text((x, y + size), str(k + 1), fill=theme.ink, font=font(size), anchor="mm")
        if k + 1 < steps:
            x, y = (width / 2, b) if down else (b, height / 2)
            end = (x, y + along * 0.3) if down else (x + along * 0.3, y)
            d.line((x, y, *end), fill=theme.ink)
            d.ellipse((end[0] - 2, end[1] - 2, end[0] + 2, end[1] + 2), fill=theme.ink)
    return cut_to_ink(image, theme.ground)


def draw_network(rng: Rng, width: int, height: int, theme: Theme) -> Image.Image:
    """Draw a graph: coloured nodes joined by lines."""
    image = Image.new("RGB", (width, height), theme.ground)
    d = ImageDraw.Draw(image)
    count = int(rng.integers(6, 45))
    at = rng.uniform(0.05, 0.95, (count, 2)) * (width, height)
    for i in range(count):
        near = np.argsort(((at - at[i]) ** 2).sum(axis=1))[1 : int(rng.integers(2, 5))]
        for j in near:
            d.line((*at[i], *at[j]), fill=theme.ink)
    for x, y in at:
        r = rng.uniform(2, 4 + min(width, height) * 0.03)
        color = theme.palette[rng.integers(len(theme.palette))]
        d.ellipse((x - r, y - r, x + r, y + r), fill=color, outline=theme.ink)
        if rng.random() < 0.3:
            d.text((x + r + 1, y), words(rng, 1), fill=theme.ink, font=font(9), anchor="lm")
    return cut_to_ink(image, theme.ground)
