"""SimCFS-AUG: compose single images into compound figures whose panel boxes are known.

Source: Yao et al., MELBA 2022:025 (row- and column-restricted layouts, intra-class hard cases). The
released code has no simulator; this one is written from the description and goes further: grids,
irregular and nested layouts, letters, headings, legends, multi-part panels, black canvases, plots.

What a panel is: with letters, all that a letter names (letter, title, axis labels, every part);
without letters, each image by its own edges and each plot by its ink. Headings, shared legends and
shared colour bars belong to no panel.

More than 300 lines: the parts of a figure depend on one style and one set of extents.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from napari_medssl.methods.simcfs import drawing
from napari_medssl.methods.simcfs.drawing import Color, Theme
from napari_medssl.methods.simcfs.layout import Cell, Layout, draw_layout, in_reading_order
from napari_medssl.methods.simcfs.pool import Pool

Rng = np.random.Generator
Extent = tuple[float, float, float, float]

_LETTER_FORMS = ("{}", "{}", "{}", "({})", "{})", "{}.", "({})")


@dataclass(frozen=True)
class SimulatorConfig:
    """What figures are made; the defaults are the shipped recipe."""

    long_side: tuple[int, int] = field(
        default=(480, 960), metadata={"help": "Smallest and largest longer side.", "unit": "px"}
    )
    most_panels: int = field(default=30, metadata={"help": "Most panels in one figure.", "min": 1})
    single: float = field(
        default=0.14, metadata={"help": "Share of single figures, which must not be split."}
    )
    intra_class: bool = field(
        default=True,
        metadata={"help": "Also make the hard cases: touching panels, all of one class."},
    )


@dataclass(frozen=True)
class SimulatedFigure:
    """A figure and its truth: image uint8 (Y, X, 3), boxes float32 (N, 4) `x0, y0, x1, y1`."""

    image: np.ndarray
    boxes: np.ndarray
    letters: tuple[str, ...]


@dataclass(frozen=True)
class _Style:
    """Choices that hold for one whole figure."""

    family: str  # photos, variants, plots or mixed
    ground: Color
    gap: float
    letters: str  # none, inside or outside
    letter_form: str
    letter_case: str
    letter_size: int
    one_class: str | None
    theme: Theme
    touching: bool
    photo_titles: bool
    framed: bool


class Simulator:
    """Makes figures from a pool; the same pool, config and seed give the same figure."""

    def __init__(self, pool: Pool, config: SimulatorConfig | None = None) -> None:
        if not len(pool):
            raise ValueError("The pool holds no image. Point it at a folder with single images.")
        self.pool = pool
        self.config = config or SimulatorConfig()

    def figure(self, seed: int) -> SimulatedFigure:
        """Return figure number `seed`."""
        rng = np.random.default_rng([seed, 20822])
        if rng.random() < self.config.single:
            canvas, panels = self._single(rng)
        else:
            canvas, panels = self._compound(rng)
        return _finish(rng, canvas, panels, self.config.long_side)

    # ------------------------------------------------------------- whole figures

    def _single(self, rng: Rng) -> tuple[Image.Image, list[tuple[Extent, str]]]:
        style = replace(
            self._style(rng), letters="none" if rng.random() < 0.8 else "inside", family="mixed"
        )
        w, h = int(rng.integers(300, 900)), int(rng.integers(240, 700))
        margin = int(rng.integers(0, 40)) if rng.random() < 0.6 else 0
        canvas = Image.new("RGB", (w + 2 * margin, h + 2 * margin), style.ground)
        cell = (float(margin), float(margin), float(margin + w), float(margin + h))
        kind = "photo" if rng.random() < 0.5 else "drawn"
        extent = self._panel(rng, canvas, cell, style, "a", kind)
        return canvas, [(extent, "a" if style.letters != "none" else "")]

    def _compound(self, rng: Rng) -> tuple[Image.Image, list[tuple[Extent, str]]]:
        style = self._style(rng)
        layout = self._layout(rng, style)
        head = _Headings(rng, style, layout)
        canvas = Image.new("RGB", head.canvas_size(layout), style.ground)
        head.draw(canvas, layout)
        panels: list[tuple[Extent, str]] = []
        base = self.pool.draw(rng, style.one_class)
        cells = in_reading_order(layout.cells) if style.letters != "none" else layout.cells
        for k, cell in enumerate(cells):
            at = (cell[0] + head.left, cell[1] + head.top, cell[2] + head.left, cell[3] + head.top)
            kind = self._kind(rng, style)
            letter = _letter(k, style)
            extent = self._panel(rng, canvas, at, style, letter, kind, base)
            panels.append((extent, letter if style.letters != "none" else ""))
        if rng.random() < 0.06:
            _arrows(rng, canvas, panels, style.theme.ink)
        return canvas, panels

    def _style(self, rng: Rng) -> _Style:
        family = str(
            rng.choice(["photos", "variants", "plots", "mixed"], p=[0.3, 0.13, 0.22, 0.35])
        )
        shades: list[Color] = [(255, 255, 255), (0, 0, 0), (128, 128, 128), (240, 240, 240)]
        dark = 0.22 if family in ("photos", "variants") else 0.05
        ground = shades[rng.choice(4, p=[0.94 - dark, dark, 0.03, 0.03])]
        photo = family in ("photos", "variants")
        touching = bool(photo and self.config.intra_class and rng.random() < 0.3)
        gap = (
            0.0
            if touching
            else float(rng.integers(1, 7) if photo and rng.random() < 0.35 else rng.integers(4, 36))
        )
        has_letters = (
            rng.random() < {"photos": 0.4, "variants": 0.15, "plots": 0.5, "mixed": 0.85}[family]
        )
        inside = photo and (touching or gap < 12 or rng.random() < 0.6)
        one_class = (
            self.pool.draw_class(rng)
            if photo and self.config.intra_class and rng.random() < 0.6
            else None
        )
        size = int(rng.integers(9, 17))
        return _Style(
            family=family,
            ground=ground,
            gap=gap,
            letters=("inside" if inside else "outside") if has_letters else "none",
            letter_form=_LETTER_FORMS[rng.integers(len(_LETTER_FORMS))],
            letter_case=str(
                rng.choice(["lower", "upper", "digit", "roman"], p=[0.42, 0.46, 0.07, 0.05])
            ),
            letter_size=int(size * rng.uniform(1.1, 2.0)),
            one_class=one_class,
            theme=drawing.random_theme(rng, ground, size),
            touching=touching,
            photo_titles=bool(gap > 18 and rng.random() < 0.35),
            framed=bool(rng.random() < 0.12),
        )

    def _layout(self, rng: Rng, style: _Style) -> Layout:
        most = self.config.most_panels
        low, high = {"photos": (2, most), "variants": (2, 20), "plots": (2, 20), "mixed": (2, 14)}[
            style.family
        ]
        count = int(
            np.clip(np.exp(rng.uniform(np.log(low), np.log(high + 1))), low, min(high, most))
        )
        photo = style.family in ("photos", "variants")
        kinds = ["grid", "rows", "columns", "irregular", "nested"]
        share = [0.5, 0.22, 0.12, 0.11, 0.05] if photo else [0.33, 0.3, 0.12, 0.17, 0.08]
        per_panel = 90 if photo else 150
        width = float(np.clip(per_panel * np.sqrt(count) * rng.uniform(1.0, 2.2), 360, 1400))
        layout = draw_layout(rng, str(rng.choice(kinds, p=share)), width, count, style.gap)
        if layout.height > 2.4 * layout.width or layout.width > 5 * layout.height:
            layout = draw_layout(rng, "grid", width, count, style.gap)
        longest = max(layout.width, layout.height)
        if longest > 1500:  # a drawn figure is scaled to long_side later; larger only costs time
            s = 1500 / longest
            cells = tuple((a * s, b * s, c * s, d * s) for a, b, c, d in layout.cells)
            layout = Layout(layout.width * s, layout.height * s, cells, layout.rows, layout.columns)
        return layout

    def _kind(self, rng: Rng, style: _Style) -> str:
        if style.family in ("photos", "variants"):
            return "photo"
        if style.family == "plots":
            return "parts" if style.letters == "outside" and rng.random() < 0.15 else "plot"
        parts = 0.25 if style.letters == "outside" else 0.0
        return str(rng.choice(["photo", "drawn", "parts"], p=[0.35, 0.65 - parts, parts]))

    # ------------------------------------------------------------------- panels

    def _panel(
        self, rng: Rng, canvas: Image.Image, cell: Cell, style: _Style, letter: str, kind: str,
        base: np.ndarray | None = None,
    ) -> Extent:  # fmt: skip
        """Paint one panel into `cell` and return the extent of all that belongs to it."""
        x0, y0, x1, y1 = (round(v) for v in cell)
        x1, y1 = max(x1, x0 + 8), max(y1, y0 + 8)
        extents: list[Extent] = []
        if style.letters == "outside" and min(x1 - x0, y1 - y0) > 50:
            mark = drawing.text_image(
                letter, style.letter_size, style.theme.ink, style.ground, bold=True
            )
            canvas.paste(mark, (x0, y0))
            extents.append((x0, y0, x0 + mark.width, y0 + mark.height))
            if rng.random() < 0.55:
                y0 += mark.height + int(rng.integers(1, 8))
                if rng.random() < 0.5:
                    extents.append(
                        self._title(rng, canvas, (x0 + mark.width + 6, cell[1], x1), style)
                    )
            else:
                x0 += mark.width + int(rng.integers(1, 6))
        elif style.photo_titles and kind == "photo" and style.letters != "inside" and y1 - y0 > 60:
            bottom = self._title(rng, canvas, (x0, y0, x1), style)[3]
            y0 = min(
                int(bottom) + int(rng.integers(2, 9)), y1 - 20
            )  # a title over an unlettered image is outside
        area = (x0, y0, x1, y1)
        if kind == "parts" and min(x1 - x0, y1 - y0) > 100:
            extents += self._parts(rng, canvas, area, style)
        elif kind == "photo":
            extents.append(self._photo(rng, canvas, area, style, base))
        else:
            extents.append(
                self._drawn(rng, canvas, area, style, "plot" if kind == "plot" else "any")
            )
        if style.letters == "inside":
            _letter_inside(rng, canvas, extents[-1], letter, style)
        return _union(extents)

    def _parts(
        self, rng: Rng, canvas: Image.Image, area: tuple[int, int, int, int], style: _Style
    ) -> list[Extent]:
        x0, y0, x1, y1 = area
        wide = (x1 - x0) / (y1 - y0)
        columns = int(np.clip(round(rng.uniform(0.8, 2.2) * wide), 1, 4))
        rows = 2 if wide < 1.2 and rng.random() < 0.5 else 1
        if rows * columns == 1:
            columns = 2
        gap = min(style.gap, float(rng.integers(3, 14)))
        w, h = (x1 - x0 - gap * (columns - 1)) / columns, (y1 - y0 - gap * (rows - 1)) / rows
        same = str(rng.choice(["photo", "plot", "each"]))
        base = self.pool.draw(rng)
        extents = []
        for r in range(rows):
            for c in range(columns):
                kind = str(rng.choice(["photo", "plot"])) if same == "each" else same
                part = (int(x0 + c * (w + gap)), int(y0 + r * (h + gap)),
                        int(x0 + c * (w + gap) + w), int(y0 + r * (h + gap) + h))  # fmt: skip
                if kind == "photo":
                    extents.append(
                        self._photo(rng, canvas, part, style, base if rng.random() < 0.5 else None)
                    )
                else:
                    extents.append(self._drawn(rng, canvas, part, style, "plot"))
        return extents

    def _title(
        self, rng: Rng, canvas: Image.Image, at: tuple[float, float, float], style: _Style
    ) -> Extent:
        x0, y0, x1 = at
        mark = drawing.text_image(
            drawing.words(rng, 3),
            style.theme.font_size,
            style.theme.ink,
            style.ground,
            bold=style.theme.bold,
        )
        x = round(x0 + max(0.0, (x1 - x0 - mark.width) / 2) * (1 if rng.random() < 0.7 else 0))
        canvas.paste(mark, (x, round(y0)))
        return (x, y0, min(x + mark.width, canvas.width), y0 + mark.height)

    def _photo(
        self,
        rng: Rng,
        canvas: Image.Image,
        area: tuple[int, int, int, int],
        style: _Style,
        base: np.ndarray | None,
    ) -> Extent:
        if style.family == "variants" and base is not None:
            pixels = _variant(rng, base)
        elif style.one_class is not None:
            pixels = self.pool.draw(rng, style.one_class)
        else:
            pixels = self.pool.draw(rng)
        if rng.random() < 0.3:
            pixels = pixels[:, ::-1]
        x0, y0, x1, y1 = area
        extents: list[Extent] = []
        roomy = min(x1 - x0, y1 - y0) > 90 and not style.touching
        if roomy and rng.random() < 0.06:
            x0, y1 = _ticks(rng, canvas, (x0, y0, x1, y1), style, extents)
        if roomy and rng.random() < 0.07:
            x1 = _color_bar(rng, canvas, (x0, y0, x1, y1), style, extents)
        fit = not style.touching and style.family in ("mixed", "variants") and rng.random() < 0.4
        picture = Image.fromarray(pixels)
        w, h = max(4, x1 - x0), max(4, y1 - y0)
        if fit:
            s = min(w / picture.width, h / picture.height)
            w, h = max(8, int(picture.width * s)), max(8, int(picture.height * s))
        picture = _cover(rng, picture, w, h)
        _annotate(rng, picture, style)
        canvas.paste(picture, (x0, y0))
        if style.framed:
            ImageDraw.Draw(canvas).rectangle(
                (x0, y0, x0 + w - 1, y0 + h - 1), outline=style.theme.ink
            )
        extent: Extent = (x0, y0, x0 + w, y0 + h)
        if not style.framed and not style.touching and sum(style.ground) > 300:
            extent = _ink_extent(picture, style.ground, (x0, y0))
        return _union([extent, *extents])

    def _drawn(
        self,
        rng: Rng,
        canvas: Image.Image,
        area: tuple[int, int, int, int],
        style: _Style,
        kind: str,
    ) -> Extent:
        x0, y0, x1, y1 = area
        theme = style.theme
        if sum(style.ground) < 300 and rng.random() < 0.5:  # a plot with a white ground of its own
            theme = drawing.random_theme(rng, (255, 255, 255), theme.font_size)
        picture = drawing.draw_any(rng, x1 - x0, y1 - y0, theme, kind, title=rng.random() < 0.35)
        picture = picture.crop((0, 0, min(picture.width, x1 - x0), min(picture.height, y1 - y0)))
        dx, dy = x1 - x0 - picture.width, y1 - y0 - picture.height
        if rng.random() < 0.5:
            dx, dy = dx // 2, dy // 2
        elif rng.random() < 0.7:
            dx, dy = 0, 0
        canvas.paste(picture, (x0 + dx, y0 + dy))
        return (x0 + dx, y0 + dy, x0 + dx + picture.width, y0 + dy + picture.height)


class _Headings:
    """Row and column headings, a shared legend or colour bar: outside every panel."""

    def __init__(self, rng: Rng, style: _Style, layout: Layout) -> None:
        self.rng, self.style = rng, style
        margin = int(rng.integers(0, 24)) if not style.touching or rng.random() < 0.5 else 0
        size = style.theme.font_size
        regular = layout.columns > 0
        self.columns = regular and rng.random() < (0.3 if style.letters != "outside" else 0.12)
        self.rows = regular and layout.rows > 1 and rng.random() < 0.25
        self.legend = str(rng.choice(["none", "below", "right", "bar"], p=[0.8, 0.08, 0.05, 0.07]))
        self.left = margin + (int(size * 1.6) if self.rows else 0)
        self.top = margin + (int(size * 1.6) if self.columns else 0)
        self.right = margin + {"right": size * 8, "bar": 46}.get(self.legend, 0)
        self.bottom = margin + (size * 3 if self.legend == "below" else 0)

    def canvas_size(self, layout: Layout) -> tuple[int, int]:
        return int(layout.width) + self.left + self.right + 1, int(
            layout.height
        ) + self.top + self.bottom + 1

    def draw(self, canvas: Image.Image, layout: Layout) -> None:
        rng, theme, d = self.rng, self.style.theme, ImageDraw.Draw(canvas)
        face = drawing.font(theme.font_size)
        if self.columns:
            for c in range(layout.columns):
                x = self.left + (c + 0.5) * layout.width / layout.columns
                d.text(
                    (x, self.top - 4), drawing.words(rng, 2), fill=theme.ink, font=face, anchor="mb"
                )
        if self.rows:
            for r in range(layout.rows):
                mark = drawing.text_image(
                    drawing.words(rng, 2), theme.font_size, theme.ink, self.style.ground
                )
                mark = mark.transpose(Image.Transpose.ROTATE_90)
                y = self.top + (r + 0.5) * layout.height / layout.rows - mark.height / 2
                canvas.paste(mark, (max(0, self.left - mark.width - 4), max(0, int(y))))
        right, bottom = int(layout.width) + self.left, int(layout.height) + self.top
        if self.legend == "bar":
            _bar(rng, canvas, (right + 10, self.top, right + 22, bottom), theme)
        elif self.legend == "right":
            for k in range(int(rng.integers(2, 7))):
                y = self.top + 8 + k * theme.font_size * 2
                d.rectangle(
                    (right + 8, y, right + 18, y + 10), fill=theme.palette[k % len(theme.palette)]
                )
                d.text((right + 24, y), drawing.words(rng, 1), fill=theme.ink, font=face)
        elif self.legend == "below":
            x = self.left
            for k in range(int(rng.integers(2, 7))):
                d.rectangle(
                    (x, bottom + 10, x + 12, bottom + 20),
                    fill=theme.palette[k % len(theme.palette)],
                )
                text = drawing.words(rng, 1)
                d.text((x + 16, bottom + 8), text, fill=theme.ink, font=face)
                x += 30 + int(d.textlength(text, font=face))


# ------------------------------------------------------------------ small pieces


def _letter(k: int, style: _Style) -> str:
    if style.letter_case == "digit":
        text = str(k + 1)
    elif style.letter_case == "roman":
        text = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")[k % 12]
    else:
        text = chr(ord("a") + k % 26)
        text = text.upper() if style.letter_case == "upper" else text
    return style.letter_form.format(text)


def _letter_inside(
    rng: Rng, canvas: Image.Image, extent: Extent, letter: str, style: _Style
) -> None:
    x0, y0, x1, y1 = (int(v) for v in extent)
    size = int(min(style.letter_size, max(7, (y1 - y0) // 4)))
    face, d = drawing.font(size), ImageDraw.Draw(canvas)
    w, h = int(d.textlength(letter, font=face)) + 2, size
    bottom, right = rng.random() < 0.3, rng.random() < 0.15
    x = x1 - w - 4 if right else x0 + 4
    y = y1 - h - 5 if bottom else y0 + 3
    if rng.random() < 0.2:
        d.rectangle((x - 3, y - 2, x + w + 2, y + h + 2), fill=(255, 255, 255))
    x, y = min(x, canvas.width - 1), min(y, canvas.height - 1)
    under = np.asarray(canvas.crop((x, y, min(x + w, canvas.width), min(y + h, canvas.height))))
    ink: Color = (0, 0, 0) if under.size and under.mean() > 128 else (255, 255, 255)
    d.text((x, y), letter, fill=ink, font=face)


def _cover(rng: Rng, picture: Image.Image, w: int, h: int) -> Image.Image:
    """Crop to the aspect of `w` x `h` and resize: no white is added."""
    s = max(w / picture.width, h / picture.height)
    cw, ch = min(picture.width, w / s), min(picture.height, h / s)
    x, y = rng.uniform(0, picture.width - cw), rng.uniform(0, picture.height - ch)
    return picture.resize(
        (w, h), Image.Resampling.BILINEAR, box=(x, y, x + cw, y + ch), reducing_gap=2
    )


def _variant(rng: Rng, base: np.ndarray) -> np.ndarray:
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
        t = (grey / 255)[..., None]
        mapped = low + (high.astype(float) - low) * t
        return np.asarray(np.clip(mapped, 0, 255).astype(np.uint8))
    if kind == 3:
        tint = rng.integers(0, 256, 3)
        on = (grey > cut)[..., None]
        return np.where(on, (0.5 * base + 0.5 * tint), base).astype(np.uint8)
    if kind == 4:
        return np.clip(base.astype(float) * rng.uniform(0.5, 1.6), 0, 255).astype(np.uint8)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def _annotate(rng: Rng, picture: Image.Image, style: _Style) -> None:
    """Arrows, scale bars, words, outlines and insets that lie inside an image."""
    d, (w, h) = ImageDraw.Draw(picture), picture.size
    if min(w, h) < 60:
        return
    pale: Color = (255, 255, 255) if np.asarray(picture)[-h // 6 :].mean() < 150 else (0, 0, 0)
    if rng.random() < 0.2:
        length = int(w * rng.uniform(0.08, 0.3))
        d.rectangle((w - length - 8, h - 12, w - 8, h - 9), fill=pale)
    if rng.random() < 0.12:
        d.text(
            (rng.uniform(2, w / 2), rng.uniform(2, h - 16)),
            drawing.words(rng, 2),
            fill=pale,
            font=drawing.font(int(rng.integers(8, 18))),
        )
    for _ in range(int(rng.integers(1, 5)) if rng.random() < 0.15 else 0):
        x, y = rng.uniform(0.1, 0.9) * w, rng.uniform(0.1, 0.9) * h
        d.line((x, y, x + 14, y + 10), fill=pale, width=2)
        d.polygon([(x - 3, y - 3), (x + 6, y), (x, y + 6)], fill=pale)
    if rng.random() < 0.08:
        x, y = rng.uniform(0.1, 0.6) * w, rng.uniform(0.1, 0.6) * h
        color = style.theme.palette[rng.integers(len(style.theme.palette))]
        d.rectangle((x, y, x + 0.3 * w, y + 0.3 * h), outline=color, width=int(rng.integers(1, 4)))
        if rng.random() < 0.5:
            inset = picture.crop((int(x), int(y), int(x + 0.3 * w), int(y + 0.3 * h))).resize(
                (int(0.35 * w), int(0.35 * h))
            )
            picture.paste(inset, (w - inset.width, 0 if rng.random() < 0.5 else h - inset.height))


def _ticks(
    rng: Rng,
    canvas: Image.Image,
    area: tuple[int, int, int, int],
    style: _Style,
    extents: list[Extent],
) -> tuple[int, int]:
    """Paint numbered axes around an image, as part of its panel; return new left and bottom."""
    x0, y0, x1, y1 = area
    size = max(7, style.theme.font_size - 3)
    left, bottom = x0 + int(size * 2.4), y1 - int(size * 1.6)
    d, face = ImageDraw.Draw(canvas), drawing.font(size)
    for i in range(int(rng.integers(3, 6))):
        y = y0 + (i + 0.5) * (bottom - y0) / 5
        d.text((left - 4, y), str(i * 100), fill=style.theme.ink, font=face, anchor="rm")
        x = left + (i + 0.5) * (x1 - left) / 5
        d.text((x, bottom + 4), str(i * 100), fill=style.theme.ink, font=face, anchor="mt")
    extents.append((left - 4 - d.textlength("400", font=face), y0, x1, bottom + 4 + size * 0.8))
    return left, bottom


def _color_bar(
    rng: Rng,
    canvas: Image.Image,
    area: tuple[int, int, int, int],
    style: _Style,
    extents: list[Extent],
) -> int:
    """Paint a colour bar beside an image, as part of its panel; return the new right edge."""
    _, y0, x1, y1 = area
    d, size = ImageDraw.Draw(canvas), max(7, style.theme.font_size - 4)
    width = 12 + int(d.textlength("0.25", font=drawing.font(size)))
    _bar(rng, canvas, (x1 - width, y0, x1 - width + 8, y1), style.theme)
    extents.append((x1 - width, y0, x1 - 1, y1))
    return x1 - width - 5


def _bar(rng: Rng, canvas: Image.Image, box: tuple[int, int, int, int], theme: Theme) -> None:
    x0, y0, x1, y1 = box
    ends = rng.integers(0, 256, (2, 3)).astype(float)
    t = np.linspace(0, 1, max(2, y1 - y0))[:, None, None]
    ramp = np.repeat(ends[0] + (ends[1] - ends[0]) * t, max(1, x1 - x0), axis=1)
    canvas.paste(Image.fromarray(ramp.astype(np.uint8)), (x0, y0))
    d, face = ImageDraw.Draw(canvas), drawing.font(max(7, theme.font_size - 4))
    for i in range(5):
        d.text(
            (x1 + 3, y0 + (i + 0.2) * (y1 - y0) / 5),
            f"{i / 4:.2g}",
            fill=theme.ink,
            font=face,
            anchor="lm",
        )


def _arrows(rng: Rng, canvas: Image.Image, panels: list[tuple[Extent, str]], ink: Color) -> None:
    """Arrows from panel to panel, as workflow figures have them."""
    d = ImageDraw.Draw(canvas)
    for (a, _), (b, _) in pairwise(panels):
        if b[0] - a[2] > 8 and rng.random() < 0.8:
            y = (max(a[1], b[1]) + min(a[3], b[3])) / 2
            d.line((a[2] + 1, y, b[0] - 2, y), fill=ink, width=2)
            d.polygon([(b[0] - 6, y - 4), (b[0] - 1, y), (b[0] - 6, y + 4)], fill=ink)


def _union(extents: list[Extent]) -> Extent:
    array = np.array(extents, float)
    x0, y0 = array[:, :2].min(axis=0).tolist()
    x1, y1 = array[:, 2:].max(axis=0).tolist()
    return x0, y0, x1, y1


def _ink_extent(picture: Image.Image, ground: Color, at: tuple[int, int]) -> Extent:
    """Extent of what differs from the ground: an unframed image ends at its ink."""
    ink = np.abs(np.asarray(picture).astype(np.int16) - np.array(ground, np.int16)).max(axis=2) > 14
    rows, columns = (
        np.flatnonzero(ink.mean(axis=1) > 0.004),
        np.flatnonzero(ink.mean(axis=0) > 0.004),
    )
    if rows.size < 8 or columns.size < 8:
        return (at[0], at[1], at[0] + picture.width, at[1] + picture.height)
    return (at[0] + columns[0], at[1] + rows[0], at[0] + columns[-1] + 1, at[1] + rows[-1] + 1)


def _finish(
    rng: Rng, canvas: Image.Image, panels: list[tuple[Extent, str]], long_side: tuple[int, int]
) -> SimulatedFigure:
    """Scale to the asked size and wear the image down as publishing does: blur, noise, JPEG."""
    count = len(panels)
    low, high = long_side
    longer = (
        int(rng.integers(low, high + 1))
        if count < 12
        else int(rng.integers((low + high) // 2, high + 1))
    )
    s = longer / max(canvas.size)
    size = (max(32, round(canvas.width * s)), max(32, round(canvas.height * s)))
    how = Image.Resampling.BILINEAR if rng.random() < 0.7 else Image.Resampling.LANCZOS
    image = canvas.resize(size, how, reducing_gap=2.0)
    if rng.random() < 0.12:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.3)))
    if rng.random() < 0.6:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(25, 96)))
        image = Image.open(buffer).convert("RGB")
    pixels = np.asarray(image)
    if rng.random() < 0.08:
        pixels = np.clip(pixels + rng.normal(0, rng.uniform(1, 6), pixels.shape), 0, 255).astype(
            np.uint8
        )
    boxes = np.array([p[0] for p in panels], np.float32) * np.array(
        [size[0] / canvas.width, size[1] / canvas.height] * 2, np.float32
    )
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, size[0])
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, size[1])
    keep = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) >= 6
    letters = tuple(p[1] for p, k in zip(panels, keep, strict=True) if k)
    return SimulatedFigure(np.ascontiguousarray(pixels), boxes[keep], letters)
