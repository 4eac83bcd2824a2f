"""The look that the drawn panels of a figure share: colours, words and letters.

Text is drawn with Pillow's own font, so a figure depends on the seed alone and not on the fonts of
a machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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


def draw_legend(
    d: ImageDraw.ImageDraw, at: tuple[int, int], rng: Rng, theme: Theme, small: int
) -> None:
    """Draw a legend of coloured squares and words, its top left corner at `at`."""
    x, y = at
    for k in range(int(rng.integers(2, 5))):
        color = theme.palette[k % len(theme.palette)]
        d.rectangle((x, y + 2, x + small, y + small - 2), fill=color)
        d.text((x + small + 4, y), words(rng, 1), fill=theme.ink, font=font(small))
        y += small + 4


def cut_to_ink(image: Image.Image, ground: Color) -> Image.Image:
    """Return the image cut to the extent of what differs from `ground`."""
    pixels = np.asarray(image)
    ink = (np.abs(pixels.astype(np.int16) - np.array(ground, np.int16)).max(axis=2)) > 24
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if rows.size == 0:
        return image
    return image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
