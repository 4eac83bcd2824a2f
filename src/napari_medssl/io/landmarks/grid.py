"""Where the pixels of one image lie in the body, in the millimetres of 3D Slicer.

Slicer keeps points in physical space: LPS (to the patient's left, posterior, superior) or RAS
(right, anterior, superior), which differ in the signs of the first two. A picture that Slicer
opens without knowing more (PNG, JPEG) has pixels of 1 mm, the first at the origin, x to the left
and y to posterior: the defaults here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_medssl._errors import UserError

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class SliceGrid:
    """The pixels of a picture, or of one slice of a volume, in LPS.

    Attributes
    ----------
    spacing_mm
        Distance of pixels in mm, `(x, y)`.
    origin_mm
        Centre of the top left pixel, LPS in mm.
    right, down
        Unit vectors, LPS, at right angles: the ways in which x and y grow.
    thickness_mm
        Points up to half of it before or behind the slice belong to it.

    Raises
    ------
    UserError
        If they are no such numbers.
    """

    spacing_mm: tuple[float, float] = (1.0, 1.0)
    origin_mm: Vector = (0.0, 0.0, 0.0)
    right: Vector = (1.0, 0.0, 0.0)
    down: Vector = (0.0, 1.0, 0.0)
    thickness_mm: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not all(1e-6 <= s <= 1e6 for s in (*self.spacing_mm, self.thickness_mm)):
            raise UserError(
                f"Spacing {self.spacing_mm!r} and thickness {self.thickness_mm!r} are no sizes of "
                "pixels; due are mm above 0. Look them up in the header of the image."
            )
        if not all(abs(v) <= 1e6 for v in self.origin_mm):
            raise UserError(
                f"Origin {self.origin_mm!r} is no place; due are three numbers in mm. "
                "Look it up in the header of the image."
            )
        lengths = [math.hypot(*self.right), math.hypot(*self.down)]
        if not all(abs(v - 1) < 1e-3 for v in lengths) or abs(_dot(self.right, self.down)) > 1e-3:
            raise UserError(
                f"Directions {self.right!r} and {self.down!r} are not two unit vectors at right "
                "angles. Take the first two columns of the image's direction matrix."
            )

    def to_lps(self, x: float, y: float) -> Vector:
        """Return the point in LPS, mm, of a place in pixels."""
        right, down = x * self.spacing_mm[0], y * self.spacing_mm[1]
        a, b, c = (
            origin + right * r + down * d
            for origin, r, d in zip(self.origin_mm, self.right, self.down, strict=True)
        )
        return a, b, c

    def to_pixels(self, point: Vector) -> tuple[float, float]:
        """Return the place in pixels, `(x, y)`, below or above which a point in LPS, mm, lies."""
        away = self._from_origin(point)
        return (
            _dot(away, self.right) / self.spacing_mm[0],
            _dot(away, self.down) / self.spacing_mm[1],
        )

    def distance_mm(self, point: Vector) -> float:
        """Return how far a point in LPS, mm, is from the slice, in mm."""
        a, b = self.right, self.down
        normal = (
            a[1] * b[2] - a[2] * b[1],
            a[2] * b[0] - a[0] * b[2],
            a[0] * b[1] - a[1] * b[0],
        )
        return abs(_dot(self._from_origin(point), normal))

    def has(self, point: Vector) -> bool:
        """Say whether a point in LPS, mm, lies in the slice."""
        return self.distance_mm(point) <= self.thickness_mm / 2 + 1e-9

    def _from_origin(self, point: Vector) -> Vector:
        a, b, c = (p - o for p, o in zip(point, self.origin_mm, strict=True))
        return a, b, c


def _dot(first: Vector, second: Vector) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))
