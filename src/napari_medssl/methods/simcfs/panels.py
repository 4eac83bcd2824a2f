"""Paint one panel into its cell and say how far it reaches.

What a panel is: with letters, all that a letter names (letter, title, axis labels, every part);
without letters, each image by its own edges and each plot by its ink. A title over an unlettered
image belongs to no panel.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from napari_medssl.methods.simcfs.drawing import draw_any
from napari_medssl.methods.simcfs.headings import Extent
from napari_medssl.methods.simcfs.layout import Cell
from napari_medssl.methods.simcfs.photos import (
    Area,
    add_color_bar,
    add_ticks,
    annotate,
    cover,
    ink_extent,
    variant,
)
from napari_medssl.methods.simcfs.pool import Pool
from napari_medssl.methods.simcfs.style import Style
from napari_medssl.methods.simcfs.theme import Color, Rng, font, random_theme, text_image, words


class PanelPainter:
    """Paints the panels of one figure: `kind` is "photo", "plot", "drawn" or "parts"."""

    def __init__(self, rng: Rng, canvas: Image.Image, pool: Pool, style: Style) -> None:
        self.rng, self.canvas, self.pool, self.style = rng, canvas, pool, style
        self.base = pool.draw(rng, style.one_class)

    def paint(self, cell: Cell, letter: str, kind: str) -> Extent:
        """Paint one panel into `cell` and return the extent of all that belongs to it."""
        rng, style = self.rng, self.style
        x0, y0, x1, y1 = (round(v) for v in cell)
        x1, y1 = max(x1, x0 + 8), max(y1, y0 + 8)
        extents: list[Extent] = []
        area = (x0, y0, x1, y1)
        if style.letters == "outside" and min(x1 - x0, y1 - y0) > 50:
            area = self._letter_outside(area, letter, extents)
        elif style.titles and kind == "photo" and style.letters != "inside" and y1 - y0 > 60:
            bottom = int(self._title((x0, y0, x1))[3]) + int(rng.integers(2, 9))
            area = (x0, min(bottom, y1 - 20), x1, y1)
        if kind == "parts" and min(x1 - x0, y1 - y0) > 100:
            extents += self._parts(area)
        elif kind == "photo":
            extents.append(self._photo(area))
        else:
            extents.append(self._drawn(area, "plot" if kind == "plot" else "any"))
        if style.letters == "inside":
            self._letter_inside(extents[-1], letter)
        return union(extents)

    # ------------------------------------------------------------- letters, titles

    def _letter_outside(self, area: Area, letter: str, extents: list[Extent]) -> Area:
        rng, style = self.rng, self.style
        x0, y0, x1, y1 = area
        mark = text_image(letter, style.letter_size, style.theme.ink, style.ground, bold=True)
        mark = mark.crop((0, 0, min(mark.width, x1 - x0), mark.height))
        self.canvas.paste(mark, (x0, y0))
        extents.append((x0, y0, x0 + mark.width, y0 + mark.height))
        if rng.random() < 0.6:
            if rng.random() < 0.5:
                extents.append(self._title((x0 + mark.width + 6, y0, x1)))
            return (x0, y0 + mark.height + int(rng.integers(1, 10)), x1, y1)
        return (x0 + mark.width + int(rng.integers(1, 6)), y0, x1, y1)

    def _letter_inside(self, extent: Extent, letter: str) -> None:
        rng = self.rng
        x0, y0, x1, y1 = (int(v) for v in extent)
        size = int(min(self.style.letter_size, max(7, (y1 - y0) // 4)))
        face, d = font(size), ImageDraw.Draw(self.canvas)
        w, h = int(d.textlength(letter, font=face)) + 2, size
        x = x1 - w - 4 if rng.random() < 0.15 else x0 + 4
        y = y1 - h - 5 if rng.random() < 0.3 else y0 + 3
        if rng.random() < 0.2:
            d.rectangle((x - 3, y - 2, x + w + 2, y + h + 2), fill=(255, 255, 255))
        x, y = min(x, self.canvas.width - 1), min(y, self.canvas.height - 1)
        corner = (min(x + w, self.canvas.width), min(y + h, self.canvas.height))
        under = np.asarray(self.canvas.crop((x, y, *corner)))
        ink: Color = (0, 0, 0) if under.size and under.mean() > 128 else (255, 255, 255)
        d.text((x, y), letter, fill=ink, font=face)

    def _title(self, at: tuple[float, float, float]) -> Extent:
        rng, theme = self.rng, self.style.theme
        x0, y0, x1 = at
        size = theme.font_size + int(rng.integers(0, 4))
        mark = text_image(words(rng, 3), size, theme.ink, self.style.ground, bold=theme.bold)
        mark = mark.crop((0, 0, max(1, min(mark.width, int(x1 - x0))), mark.height))
        centred = rng.random() < 0.7
        x = round(x0 + (max(0.0, (x1 - x0 - mark.width) / 2) if centred else 0))
        self.canvas.paste(mark, (x, round(y0)))
        return (x, y0, min(x + mark.width, self.canvas.width), y0 + mark.height)

    # ---------------------------------------------------------------------- content

    def _parts(self, area: Area) -> list[Extent]:
        """Paint several images or plots under one letter, sometimes with words of their own."""
        rng = self.rng
        x0, y0, x1, y1 = area
        extents: list[Extent] = []
        size = self.style.theme.font_size
        if rng.random() < 0.35 and y1 - y0 > 120:
            extents.append(self._title((x0, y0, x1)))
            y0 += int(size * 1.8)
        if rng.random() < 0.25 and y1 - y0 > 140:
            extents.append(self._title((x0 + (x1 - x0) * rng.uniform(0, 0.5), y1 - size, x1)))
            y1 -= int(size * 1.8)
        wide = (x1 - x0) / max(1, y1 - y0)
        columns = int(np.clip(round(rng.uniform(0.8, 2.4) * wide), 1, 5))
        rows = 2 if wide < 1.3 and rng.random() < 0.5 else 1
        columns = 2 if rows * columns == 1 else columns
        gap = min(max(self.style.gap, 4.0), float(rng.integers(3, 20)))
        w = (x1 - x0 - gap * (columns - 1)) / columns
        h = (y1 - y0 - gap * (rows - 1)) / rows
        same = str(rng.choice(["photo", "plot", "each", "last"]))
        for r in range(rows):
            for c in range(columns):
                kind = same
                if same == "each":
                    kind = str(rng.choice(["photo", "plot"]))
                elif same == "last":
                    kind = "plot" if c == columns - 1 else "photo"
                left, top = x0 + c * (w + gap), y0 + r * (h + gap)
                part = (int(left), int(top), int(left + w), int(top + h))
                extents.append(self._photo(part) if kind == "photo" else self._drawn(part, "plot"))
        return extents

    def _pixels(self) -> np.ndarray:
        rng, style = self.rng, self.style
        if style.family == "variants":
            pixels = variant(rng, self.base)
        else:
            pixels = self.pool.draw(rng, style.one_class)
        return pixels[:, ::-1] if rng.random() < 0.3 else pixels

    def _photo(self, area: Area) -> Extent:
        rng, style = self.rng, self.style
        extents: list[Extent] = []
        roomy = min(area[2] - area[0], area[3] - area[1]) > 90 and not style.touching
        for add, share in ((add_ticks, 0.06), (add_color_bar, 0.07)):
            if roomy and rng.random() < share:
                area, extent = add(rng, self.canvas, area, style)
                extents.append(extent)
        x0, y0, x1, y1 = area
        w, h = max(4, x1 - x0), max(4, y1 - y0)
        picture = Image.fromarray(np.ascontiguousarray(self._pixels()))
        fits = style.family in ("mixed", "variants") and not style.touching and not extents
        if fits and rng.random() < 0.4:
            s = min(w / picture.width, h / picture.height)  # keep the whole image
            w, h = max(8, int(picture.width * s)), max(8, int(picture.height * s))
        picture = cover(rng, picture, w, h)
        annotate(rng, picture, style)
        self.canvas.paste(picture, (x0, y0))
        extent = (x0, y0, x0 + w, y0 + h)
        if style.framed:
            d = ImageDraw.Draw(self.canvas)
            d.rectangle((x0, y0, x0 + w - 1, y0 + h - 1), outline=style.theme.ink)
        elif not style.touching and not style.is_dark:
            extent = ink_extent(picture, style.ground, (x0, y0))
        return union([extent, *extents])

    def _drawn(self, area: Area, kind: str) -> Extent:
        rng, style = self.rng, self.style
        x0, y0, x1, y1 = area
        theme = style.theme
        if style.is_dark and rng.random() < 0.5:  # a plot with a white ground of its own
            theme = random_theme(rng, (255, 255, 255), theme.font_size)
        titled = rng.random() < (0.6 if style.titles else 0.2)
        picture = draw_any(rng, x1 - x0, y1 - y0, theme, kind, title=titled)
        picture = picture.crop((0, 0, min(picture.width, x1 - x0), min(picture.height, y1 - y0)))
        place = rng.choice([0.0, 0.5, 1.0], p=[0.4, 0.5, 0.1])
        x = x0 + int((x1 - x0 - picture.width) * place)
        y = y0 + int((y1 - y0 - picture.height) * place)
        self.canvas.paste(picture, (x, y))
        return (x, y, x + picture.width, y + picture.height)


def union(extents: list[Extent]) -> Extent:
    """Return the smallest extent that holds all `extents`."""
    array = np.array(extents, float)
    x0, y0 = array[:, :2].min(axis=0).tolist()
    x1, y1 = array[:, 2:].max(axis=0).tolist()
    return x0, y0, x1, y1
