"""SimCFS-AUG: compose single images into compound figures whose panel boxes are known.

Source: Yao et al., MELBA 2022:025 (row- and column-restricted layouts, intra-class hard cases). The
released code has no simulator; this one is written from the description and goes further: grids,
irregular and nested layouts, letters, headings, legends, multi-part panels, black canvases, plots.
`panels` says what counts as a panel.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from napari_medssl.methods.simcfs.headings import Extent, Headings, draw_arrows
from napari_medssl.methods.simcfs.layout import Layout, draw_layout, in_reading_order
from napari_medssl.methods.simcfs.panels import PanelPainter
from napari_medssl.methods.simcfs.pool import Pool
from napari_medssl.methods.simcfs.style import Style, random_style
from napari_medssl.methods.simcfs.theme import Rng

_LAYOUTS = ("grid", "rows", "columns", "irregular", "nested")
_WORKING_SIDE = 1500  # a figure is drawn no larger than this, then scaled to its long side


@dataclass(frozen=True)
class SimulatorConfig:
    """What figures are made; the defaults are the shipped recipe.

    `long_side` is the smallest and largest longer side in pixels, `single` the share of single
    figures (which must not be split), `intra_class` whether the hard cases are made too: touching
    panels, all of one class.
    """

    long_side: tuple[int, int] = (480, 960)
    most_panels: int = 30
    single: float = 0.2
    intra_class: bool = True


@dataclass(frozen=True)
class SimulatedFigure:
    """A figure and its truth: image uint8 (Y, X, 3), boxes float32 (N, 4) `x0, y0, x1, y1`."""

    image: np.ndarray
    boxes: np.ndarray
    letters: tuple[str, ...]


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
        make = self._single if rng.random() < self.config.single else self._compound
        canvas, extents, letters = make(rng)
        return _finish(rng, canvas, extents, letters, self.config.long_side)

    def _single(self, rng: Rng) -> tuple[Image.Image, list[Extent], list[str]]:
        """A figure of one panel: there is nothing to part, so the panel is the whole figure."""
        style = random_style(rng, self.pool, intra_class=self.config.intra_class)
        letters = "none" if rng.random() < 0.8 else "inside"
        style = replace(style, letters=letters, family="mixed", one_class=None, titles=False)
        w, h = int(rng.integers(300, 900)), int(rng.integers(240, 800))
        margin = int(rng.integers(0, 40)) if rng.random() < 0.6 else 0
        canvas = Image.new("RGB", (w + 2 * margin, h + 2 * margin), style.ground)
        painter = PanelPainter(rng, canvas, self.pool, style)
        cell = (margin, margin, margin + w, margin + h)
        kind = str(rng.choice(["photo", "plot", "drawn"], p=[0.4, 0.25, 0.35]))
        painter.paint(cell, style.letter(0), kind)
        whole = (0.0, 0.0, float(canvas.width), float(canvas.height))
        return canvas, [whole], [style.letter(0) if letters != "none" else ""]

    def _compound(self, rng: Rng) -> tuple[Image.Image, list[Extent], list[str]]:
        style = random_style(rng, self.pool, intra_class=self.config.intra_class)
        layout = self._layout(rng, style)
        head = Headings(rng, style, layout)
        canvas = Image.new("RGB", head.canvas_size(layout), style.ground)
        head.draw(canvas, layout)
        painter = PanelPainter(rng, canvas, self.pool, style)
        lettered = style.letters != "none"
        extents, letters = [], []
        for k, (x0, y0, x1, y1) in enumerate(in_reading_order(layout.cells)):
            cell = (x0 + head.left, y0 + head.top, x1 + head.left, y1 + head.top)
            extents.append(painter.paint(cell, style.letter(k), _kind(rng, style)))
            letters.append(style.letter(k) if lettered else "")
        if rng.random() < 0.06:
            draw_arrows(rng, canvas, extents, style.theme.ink)
        return canvas, extents, letters

    def _layout(self, rng: Rng, style: Style) -> Layout:
        most = self.config.most_panels
        if style.multipart:
            return _multipart_layout(rng, style, most)
        high = min(most, {"photos": most, "variants": 20, "plots": 20, "mixed": 14}[style.family])
        low = min(2, high)
        count = int(np.clip(np.exp(rng.uniform(np.log(low), np.log(high + 1))), low, high))
        share = [0.5, 0.22, 0.12, 0.11, 0.05] if style.is_photo else [0.33, 0.3, 0.12, 0.17, 0.08]
        per_panel = 90 if style.is_photo else 150
        width = float(np.clip(per_panel * np.sqrt(count) * rng.uniform(1.0, 2.2), 360, 1400))
        layout = draw_layout(rng, str(rng.choice(_LAYOUTS, p=share)), width, count, style.gap)
        if layout.height > 2.4 * layout.width or layout.width > 5 * layout.height:
            layout = draw_layout(rng, "grid", width, count, style.gap)
        longest = max(layout.width, layout.height)
        return layout.scaled(_WORKING_SIDE / longest) if longest > _WORKING_SIDE else layout


def _multipart_layout(rng: Rng, style: Style, most: int) -> Layout:
    """Few wide cells: there must be room for several parts in each."""
    count = min(int(rng.integers(2, 7)), most)
    width = float(rng.uniform(480, 1150))
    kind = str(rng.choice(["rows", "stack", "irregular", "grid"], p=[0.4, 0.3, 0.15, 0.15]))
    if kind == "stack":  # one letter a row
        return draw_layout(rng, "grid", width, count, style.gap, columns=1)
    return draw_layout(rng, kind, width, count, style.gap)


def _kind(rng: Rng, style: Style) -> str:
    """Draw what the next panel of a figure holds."""
    if style.multipart and rng.random() < 0.7:
        return "parts"
    outside = style.letters == "outside"
    if style.is_photo:
        return "photo"
    if style.family == "plots":
        return "parts" if outside and rng.random() < 0.25 else "plot"
    parts = 0.35 if outside else 0.0
    return str(rng.choice(["photo", "plot", "drawn", "parts"], p=[0.3, 0.25, 0.45 - parts, parts]))


def _finish(
    rng: Rng,
    canvas: Image.Image,
    extents: list[Extent],
    letters: list[str],
    long_side: tuple[int, int],
) -> SimulatedFigure:
    """Scale to the asked size and wear the image down as publishing does: blur, noise, JPEG."""
    low, high = long_side
    low = low if len(extents) < 12 else (low + high) // 2
    s = int(rng.integers(low, high + 1)) / max(canvas.size)
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
        noisy = pixels + rng.normal(0, rng.uniform(1, 6), pixels.shape)
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    scale = np.array([size[0] / canvas.width, size[1] / canvas.height] * 2, np.float32)
    boxes = np.array(extents, np.float32) * scale
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, size[0])
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, size[1])
    keep = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) >= 6
    kept = tuple(letter for letter, k in zip(letters, keep, strict=True) if k)
    return SimulatedFigure(np.ascontiguousarray(pixels), boxes[keep], kept)
