"""Paint one panel into its cell and say how far it reaches.

What a panel is: with letters, all that a letter names (letter, title, axis labels, every part);
without letters, each image by its own edges and each plot by its ink. A title over an unlettered
image belongs to no panel.
"""

from __future__ import annotations

from itertools import pairwise

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

_LEAST_PART = 40  # pixels: parts of a panel are not made narrower on average


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
        if kind == "parts" and style.letters == "inside":
            return union(self._stack(area, letter))
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
        if rng.random() < 0.45 and y1 - y0 > 120:
            extents.append(self._title((x0, y0, x1)))
            y0 += int(size * 1.8)
        if rng.random() < 0.25 and y1 - y0 > 140:
            extents.append(self._title((x0 + (x1 - x0) * rng.uniform(0, 0.5), y1 - size, x1)))
            y1 -= int(size * 1.8)
        if rng.random() < 0.15 and x1 - x0 > 300:
            x1 -= self._part_legend((x0, y0, x1, y1), extents)
        same = str(rng.choice(["photo", "plot", "drawn", "each", "last"]))
        captions = rng.random() < 0.35
        for k, part in enumerate(parts := split_parts(rng, (x0, y0, x1, y1), self.style.gap)):
            kind = same
            if same == "each":
                kind = str(rng.choice(["photo", "plot", "drawn"]))
            elif same == "last":
                kind = "plot" if k == len(parts) - 1 else "photo"
            extents += self._part(part, kind, captioned=captions and kind == "photo")
        return extents

    def _part(self, area: Area, kind: str, *, captioned: bool) -> list[Extent]:
        """Paint one part, an image with a caption over or under it where it is `captioned`."""
        rng, (x0, y0, x1, y1) = self.rng, area
        if kind != "photo":
            return [self._drawn(area, "plot" if kind == "plot" else "any")]
        line = int(self.style.theme.font_size * 1.6)
        if not captioned or y1 - y0 < 4 * line:
            return [self._photo(area)]
        if rng.random() < 0.5:
            return [self._title((x0, y0, x1)), self._photo((x0, y0 + line, x1, y1))]
        photo = self._photo((x0, y0, x1, y1 - line))
        return [photo, self._title((x0, y1 - line + 3, x1))]

    def _part_legend(self, area: Area, extents: list[Extent]) -> int:
        """Write a legend for all parts at the right; return the width that it takes."""
        rng, theme = self.rng, self.style.theme
        d, face = ImageDraw.Draw(self.canvas), font(theme.font_size)
        x0, y, x1, y1 = area
        width = min(theme.font_size * 8, (x1 - x0) // 4)
        left, top = x1 - width, y
        for k in range(int(rng.integers(2, 6))):
            if y + theme.font_size > y1:
                break
            color = theme.palette[k % len(theme.palette)]
            d.rectangle((left, y + 3, left + 9, y + theme.font_size), fill=color)
            d.text((left + 14, y), words(rng, 1)[:9], fill=theme.ink, font=face)
            y += int(theme.font_size * 1.6)
        extents.append((left, top, x1, y))
        return width + 8

    def _stack(self, area: Area, letter: str) -> list[Extent]:
        """Paint two or three images close together that share one letter inside one of them."""
        rng, (x0, y0, x1, y1) = self.rng, area
        count = int(rng.integers(2, 4))
        gap = min(int(self.style.gap), int(rng.integers(0, 5)))
        across = (x1 - x0) > (y1 - y0)
        step = ((x1 - x0) if across else (y1 - y0)) / count
        extents = []
        for k in range(count):
            a, b = int(k * step), int((k + 1) * step) - gap
            part = (x0 + a, y0, x0 + b, y1) if across else (x0, y0 + a, x1, y0 + b)
            extents.append(self._photo(part))
        self._letter_inside(extents[0 if rng.random() < 0.5 else -1], letter)
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


def split_parts(rng: Rng, area: Area, gap: float) -> list[Area]:
    """Cut an area into the cells of its parts: one or two rows, columns of one or many widths."""
    x0, y0, x1, y1 = area
    aspect = (x1 - x0) / max(1, y1 - y0)
    if rng.random() < 0.25:  # the parts need not fill the cell
        x1 = x0 + int((x1 - x0) * rng.uniform(0.6, 0.95))
    columns = int(np.clip(round(rng.uniform(0.8, 2.4) * aspect), 1, 5))
    rows = 2 if aspect < 1.6 and rng.random() < 0.5 else 1
    columns = 2 if rows * columns == 1 else columns
    # Within a letter gaps may be as wide as between letters: only the letters tell.
    if rng.random() < 0.5:
        gap = float(rng.integers(14, 60))
    else:
        gap = min(max(gap, 4.0), float(rng.integers(3, 30)))
    columns = int(np.clip((x1 - x0 + gap) // (_LEAST_PART + gap), 1, columns))
    rows = int(np.clip((y1 - y0 + gap) // (_LEAST_PART + gap), 1, rows))
    share = np.ones(columns) if rng.random() < 0.5 else rng.uniform(0.5, 1.5, columns)
    edges = x0 + np.concatenate(([0.0], np.cumsum(share / share.sum()))) * (x1 - x0 + gap)
    h = (y1 - y0 - gap * (rows - 1)) / rows
    parts: list[Area] = []
    for r in range(rows):
        top = y0 + r * (h + gap)
        for left, right in pairwise(edges):
            right = max(left + _LEAST_PART / 4, right - gap)
            parts.append((int(left), int(top), int(right), int(top + h)))
    return parts


def union(extents: list[Extent]) -> Extent:
    """Return the smallest extent that holds all `extents`."""
    array = np.array(extents, float)
    x0, y0 = array[:, :2].min(axis=0).tolist()
    x1, y1 = array[:, 2:].max(axis=0).tolist()
    return x0, y0, x1, y1
