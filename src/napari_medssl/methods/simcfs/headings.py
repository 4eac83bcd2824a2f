"""What stands in a figure but belongs to no panel: headings, shared legends and colour bars."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from napari_medssl.methods.simcfs.layout import Layout
from napari_medssl.methods.simcfs.style import Style
from napari_medssl.methods.simcfs.theme import Color, Rng, Theme, font, text_image, words

Extent = tuple[float, float, float, float]


class Headings:
    """Margins around the panels, and what is written in them.

    `left` and `top` are the offset of the panels' content area on the canvas, in pixels.
    """

    def __init__(self, rng: Rng, style: Style, layout: Layout) -> None:
        self.rng, self.style = rng, style
        margin = int(rng.integers(0, 24)) if not style.touching or rng.random() < 0.5 else 0
        size = style.theme.font_size
        regular = layout.columns > 0
        self.columns = regular and rng.random() < (0.3 if style.letters != "outside" else 0.12)
        self.rows = regular and layout.rows > 1 and rng.random() < 0.25
        self.title = rng.random() < 0.1
        self.legend = str(rng.choice(["none", "below", "right", "bar"], p=[0.78, 0.1, 0.05, 0.07]))
        self.left = margin + (int(size * 1.6) if self.rows else 0)
        self.top = margin + int(size * 1.6) * (int(self.columns) + 2 * int(self.title))
        self.right = margin + {"right": size * 8, "bar": 46}.get(self.legend, 0)
        self.bottom = margin + (size * 3 if self.legend == "below" else 0)

    def canvas_size(self, layout: Layout) -> tuple[int, int]:
        """Return width and height of the whole figure in pixels."""
        width = int(layout.width) + self.left + self.right + 1
        return width, int(layout.height) + self.top + self.bottom + 1

    def draw(self, canvas: Image.Image, layout: Layout) -> None:
        """Write the headings and the shared legend."""
        rng, theme, d = self.rng, self.style.theme, ImageDraw.Draw(canvas)
        face = font(theme.font_size)
        if self.title:
            at = (self.left + layout.width / 2, 4)
            d.text(at, words(rng, 5), fill=theme.ink, font=font(theme.font_size + 4), anchor="mt")
        for c in range(layout.columns if self.columns else 0):
            x = self.left + (c + 0.5) * layout.width / layout.columns
            d.text((x, self.top - 4), words(rng, 2), fill=theme.ink, font=face, anchor="mb")
        for r in range(layout.rows if self.rows else 0):
            mark = text_image(words(rng, 2), theme.font_size, theme.ink, self.style.ground)
            mark = mark.transpose(Image.Transpose.ROTATE_90)
            y = self.top + (r + 0.5) * layout.height / layout.rows - mark.height / 2
            canvas.paste(mark, (max(0, self.left - mark.width - 4), max(0, int(y))))
        self._draw_legend(canvas, int(layout.width) + self.left, int(layout.height) + self.top)

    def _draw_legend(self, canvas: Image.Image, right: int, bottom: int) -> None:
        rng, theme, d = self.rng, self.style.theme, ImageDraw.Draw(canvas)
        face = font(theme.font_size)
        if self.legend == "bar":
            draw_color_bar(rng, canvas, (right + 10, self.top, right + 22, bottom), theme)
        x = self.left
        for k in range(int(rng.integers(2, 7)) if self.legend in ("right", "below") else 0):
            color = theme.palette[k % len(theme.palette)]
            text = words(rng, 1)
            if self.legend == "right":
                y = self.top + 8 + k * theme.font_size * 2
                d.rectangle((right + 8, y, right + 18, y + 10), fill=color)
                d.text((right + 24, y), text, fill=theme.ink, font=face)
            else:
                d.rectangle((x, bottom + 10, x + 12, bottom + 20), fill=color)
                d.text((x + 16, bottom + 8), text, fill=theme.ink, font=face)
                x += 30 + int(d.textlength(text, font=face))


def draw_color_bar(
    rng: Rng, canvas: Image.Image, box: tuple[int, int, int, int], theme: Theme
) -> None:
    """Draw a vertical colour bar into `box`, its numbers to the right."""
    x0, y0, x1, y1 = box
    ends = rng.integers(0, 256, (2, 3)).astype(float)
    t = np.linspace(0, 1, max(2, y1 - y0))[:, None, None]
    ramp = np.repeat(ends[0] + (ends[1] - ends[0]) * t, max(1, x1 - x0), axis=1)
    canvas.paste(Image.fromarray(ramp.astype(np.uint8)), (x0, y0))
    d, face = ImageDraw.Draw(canvas), font(max(7, theme.font_size - 4))
    for i in range(5):
        at = (x1 + 3, y0 + (i + 0.2) * (y1 - y0) / 5)
        d.text(at, f"{i / 4:.2g}", fill=theme.ink, font=face, anchor="lm")


def draw_arrows(rng: Rng, canvas: Image.Image, extents: list[Extent], ink: Color) -> None:
    """Draw arrows from panel to panel, as workflow figures have them."""
    d = ImageDraw.Draw(canvas)
    for a, b in pairwise(extents):
        if b[0] - a[2] > 8 and rng.random() < 0.8:
            y = (max(a[1], b[1]) + min(a[3], b[3])) / 2
            d.line((a[2] + 1, y, b[0] - 2, y), fill=ink, width=2)
            d.polygon([(b[0] - 6, y - 4), (b[0] - 1, y), (b[0] - 6, y + 4)], fill=ink)
