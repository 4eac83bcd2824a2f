"""Draw made-up pictures of blood smears with the masks of their white cells.

They are for the screenshots of "Paint a few masks, get the rest": no patient, no licence, no
download. Light, stain and ground differ from picture to picture, as they do from slide to slide.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

CLASSES = ("nucleus", "cytoplasm")
SIDE = 256

_FINE = 3  # drawn so many times as large
_NUCLEUS, _CYTOPLASM = 1, 2
_Color = tuple[int, int, int]


def write_smears(folder: Path, count: int) -> list[Path]:
    """Write pictures "smear 01.png" and so on."""
    folder.mkdir()
    paths = [folder / f"smear {number:02}.png" for number in range(1, count + 1)]
    for number, path in enumerate(paths, start=1):
        Image.fromarray(draw_smear(number)[0]).save(path)
    return paths


def draw_smear(number: int, seed: int = 5) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a picture, RGB, shape (SIDE, SIDE, 3), and its classes, shape (SIDE, SIDE).

    Parameters
    ----------
    number
        Another one is another picture.
    """
    rng = np.random.default_rng([seed, number])
    field = _Field(rng)
    whites = [field.free_place(34) for _ in range(2)]
    for _ in range(26):
        field.draw_red(*field.free_place(15))
    for at in whites:
        (field.draw_granulocyte, field.draw_lymphocyte, field.draw_monocyte)[rng.integers(3)](*at)
    for _ in range(int(rng.integers(2, 6))):
        field.disc(*field.free_place(4), rng.uniform(2, 3.5), (150, 110, 170))
    return field.pixels(), field.classes()


class _Field:
    """A picture that is drawn, with the classes of what was drawn."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._red = self.shaded((216, 152, 150), 8)
        self._ink = self.shaded((98, 62, 140), 12)
        size = (SIDE * _FINE, SIDE * _FINE)
        self._picture = Image.new("RGB", size, self.shaded((236, 222, 220), 4))
        self._mask = Image.new("L", size, 0)
        self._taken: list[tuple[float, float, float]] = []

    def free_place(self, radius: float) -> tuple[float, float]:
        """Return where a disc overlaps none before it by much; the last try if there is no room."""
        x = y = 0.0
        for _ in range(60):
            x, y = self._rng.uniform(min(radius, 30), SIDE - min(radius, 30), 2)
            if all(np.hypot(x - a, y - b) > 0.95 * (radius + r) for a, b, r in self._taken):
                break
        self._taken.append((x, y, radius))
        return float(x), float(y)

    def shaded(self, color: _Color, spread: float) -> _Color:
        """Return a colour that is a little off."""
        red, green, blue = np.clip(color + self._rng.normal(0, spread, 3), 0, 255).astype(int)
        return int(red), int(green), int(blue)

    def disc(self, x: float, y: float, radius: float, color: _Color, number: int = 0) -> None:
        """Draw a disc of a class that is a little dented, as cells are."""
        turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        far = np.full_like(turn, radius)
        for waves in (2, 3, 5):
            far += (
                radius
                * self._rng.normal(0, 0.06 / waves)
                * np.cos(waves * turn + self._rng.uniform(0, 2 * np.pi))
            )
        rim = np.stack([x + far * np.cos(turn), y + far * np.sin(turn)], axis=1) * _FINE
        corners = [(float(a), float(b)) for a, b in rim]
        ImageDraw.Draw(self._picture).polygon(corners, fill=color)
        ImageDraw.Draw(self._mask).polygon(corners, fill=number)

    def draw_red(self, x: float, y: float) -> None:
        """Draw a red cell, paler in its middle."""
        radius = self._rng.uniform(12, 15)
        color = np.array(self.shaded(self._red, 3))
        for part, pale in ((1.0, 0), (0.62, 8), (0.48, 18), (0.34, 28)):
            red, green, blue = np.clip(color + pale, 0, 245).astype(int).tolist()
            self.disc(x, y, radius * part, (red, green, blue))

    def draw_granulocyte(self, x: float, y: float) -> None:
        """Draw a cell with granules and a nucleus of some lobes."""
        rng = self._rng
        self.disc(x, y, rng.uniform(25, 29), (228, 186, 200), _CYTOPLASM)
        for _ in range(130):
            angle, far = rng.uniform(0, 2 * np.pi), 23 * np.sqrt(rng.uniform())
            dot = (x + far * np.cos(angle), y + far * np.sin(angle))
            self.disc(*dot, 1.1, self.shaded((196, 122, 150), 8), _CYTOPLASM)
        turn, lobes = rng.uniform(0, 2 * np.pi), int(rng.integers(3, 5))
        for lobe in range(lobes):
            angle = turn + lobe * 4.0 / lobes
            far = rng.uniform(11, 13)
            self.disc(x + far * np.cos(angle), y + far * np.sin(angle), rng.uniform(7, 9),
                      self._ink, _NUCLEUS)  # fmt: skip

    def draw_lymphocyte(self, x: float, y: float) -> None:
        """Draw a small cell that is nearly all nucleus."""
        rng = self._rng
        self.disc(x, y, rng.uniform(18, 21), (176, 186, 222), _CYTOPLASM)
        self.disc(x + rng.normal(0, 1), y + rng.normal(0, 1), rng.uniform(14, 16),
                  self._ink, _NUCLEUS)  # fmt: skip

    def draw_monocyte(self, x: float, y: float) -> None:
        """Draw a large cell with a nucleus that is bent."""
        rng = self._rng
        color = (190, 190, 210)
        self.disc(x, y, rng.uniform(28, 32), color, _CYTOPLASM)
        self.disc(x, y, rng.uniform(18, 20), self._ink, _NUCLEUS)
        angle = rng.uniform(0, 2 * np.pi)
        bay = (x + 17 * np.cos(angle), y + 17 * np.sin(angle))
        self.disc(*bay, rng.uniform(9, 12), color, _CYTOPLASM)

    def pixels(self) -> NDArray[np.uint8]:
        """Return the picture as a camera would, RGB, shape (SIDE, SIDE, 3)."""
        rng = self._rng
        soft = self._picture.filter(ImageFilter.GaussianBlur(_FINE * rng.uniform(0.5, 0.9)))
        small = soft.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        lit = np.asarray(small, np.float64) * rng.uniform(0.88, 1.05)
        noisy = lit + rng.normal(0, 2, 3) + rng.normal(0, 3, lit.shape)
        return np.asarray(np.clip(noisy, 0, 255).round(), np.uint8)

    def classes(self) -> NDArray[np.uint8]:
        """Return the class of each pixel, shape (SIDE, SIDE)."""
        middle = _FINE // 2
        return np.asarray(self._mask, np.uint8)[middle::_FINE, middle::_FINE].copy()
