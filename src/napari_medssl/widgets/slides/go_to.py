"""Places of a slide as people type them: "12000, 8000", "x=3.2 mm y=1.1 mm", "512 µm 300 µm"."""

from __future__ import annotations

import math
import re

from napari_medssl._errors import UserError

_UM = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "mm": 1000.0, "cm": 10_000.0}
_PIXELS = {"px", "pixel", "pixels"}
_NUMBER = r"[+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?"
_PART = re.compile(rf"({_NUMBER})\s*([a-zµμ]*)")
_NAMES = re.compile(r"(?<![a-z])[xy](?![a-z])\s*[=:]?")
_DUE = 'Type x and y, such as "12000, 8000", "3200 um, 1100 um" or "3.2 mm 1.1 mm".'


def parse_location(
    text: str, mpp: tuple[float, float] | None, size: tuple[int, int]
) -> tuple[float, float]:
    """Return the location `(x, y)` that a text names, in pixels of level 0.

    Numbers are pixels of level 0 unless a unit of length follows; a unit after the second number
    alone counts for both.

    Parameters
    ----------
    text
        What a person typed.
    mpp
        Microns per pixel along x and y, None where the slide does not say.
    size
        Width and height of level 0.

    Raises
    ------
    UserError
        If the text is no place, is in microns on a slide without mpp, or lies outside the slide.
    """
    numbers, units = _split(text)
    if not units[0]:
        units = (units[1], units[1])
    if not units[1]:
        units = (units[0], units[0])
    place = [
        _to_pixels(number, unit, axis, mpp)
        for number, unit, axis in zip(numbers, units, (0, 1), strict=True)
    ]
    for value, most, axis in zip(place, size, "xy", strict=True):
        if not 0 <= value <= most:
            raise UserError(
                f"{axis} = {value:,.0f} px is outside the slide, which is {size[0]} x {size[1]} px."
            )
    return place[0], place[1]


def _split(text: str) -> tuple[tuple[float, float], tuple[str, str]]:
    """Return two numbers and the words after them."""
    words = _NAMES.sub(" ", text.strip().strip("()[]").casefold())
    if ";" not in words:  # with one between the numbers, a comma is a decimal one
        words = words.replace(",", " ")
    found = list(_PART.finditer(words))
    rest = _PART.sub("", words).strip(" ,;\t")
    if len(found) != 2 or rest:
        raise UserError(f"{text.strip()!r} is no place. {_DUE}")
    values = [float(match[1].replace(",", ".")) for match in found]
    if not all(math.isfinite(value) for value in values):
        raise UserError(f"{text.strip()!r} is no place. {_DUE}")
    return (values[0], values[1]), (found[0][2], found[1][2])


def _to_pixels(number: float, unit: str, axis: int, mpp: tuple[float, float] | None) -> float:
    if not unit or unit in _PIXELS:
        return number
    if unit not in _UM:
        raise UserError(f"The unit {unit!r} is not known; due is px, um, mm or cm.")
    if mpp is None:
        raise UserError("This slide does not say its microns per pixel: give the place in pixels.")
    return number * _UM[unit] / mpp[axis]


def location_text(x: float, y: float, mpp: tuple[float, float] | None) -> str:
    """Return a location in words: pixels of level 0, and microns where they are known."""
    words = f"x {x:.0f}, y {y:.0f} px"
    return words if mpp is None else f"{words} ({x * mpp[0]:.0f}, {y * mpp[1]:.0f} µm)"
