"""Distances and angles between named landmarks, as cephalometry needs them.

A definition is a line of text:

    SN   = distance S N            length between two landmarks
    SNA  = angle S N A             at the middle one, 0 to 180 degrees
    FMA  = angle Po Or / Go Me     between the ways from Po to Or and from Go to Me, 0 to 180
    Li-E = distance Li / Pn Pog    from the line through Pn and Pog; positive on the right hand of
                                   who walks from Pn to Pog and looks at the image
    ANB  = difference SNA SNB      of two measurements above it: it has a sign

Names with spaces, "/" or "=" in them stand in quotation marks. Lengths are in pixels and, where the
size of a pixel is known, in mm; angles are taken in mm where pixels are not square.

More than 300 lines: the forms of a definition, and what each of them measures, side by side.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from napari_medssl._errors import UserError
from napari_medssl.io.landmarks import clean_name

Place = tuple[float, float]
Spacing = tuple[float, float]
Kind = Literal["distance", "line distance", "angle", "line angle", "difference"]

_FORMS: dict[tuple[str, tuple[int, ...]], Kind] = {
    ("distance", (2,)): "distance",
    ("distance", (1, 2)): "line distance",
    ("angle", (3,)): "angle",
    ("angle", (2, 2)): "line angle",
    ("difference", (2,)): "difference",
}
_DUE = (
    "Due is 'distance A B', 'distance A / B C', 'angle A B C', 'angle A B / C D' or "
    "'difference M N'"
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured.

    Attributes
    ----------
    name
        What it is called.
    kind
        See the module.
    points
        Names of its landmarks in order; of two measurements for a difference.
    """

    name: str
    kind: Kind
    points: tuple[str, ...]

    @property
    def text(self) -> str:
        """The definition without its name, as `parse_definition` takes it."""
        words = [_quoted(point) for point in self.points]
        if self.kind.startswith("line"):
            words.insert(1 if self.kind == "line distance" else 2, "/")
        return " ".join([self.kind.removeprefix("line "), *words])

    @property
    def line(self) -> str:
        """The definition with its name, as `parse_definitions` takes it."""
        return f"{_quoted(self.name)} = {self.text}"


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement of one image; what is None is not known.

    Attributes
    ----------
    px, mm
        Length in pixels and in mm.
    degrees
        Angle.
    """

    px: float | None = None
    mm: float | None = None
    degrees: float | None = None


NOTHING = Measured()
"""Of an image in which a landmark has no place."""


def parse_definition(name: str, text: str) -> Measurement:
    """Return what is defined by a name and a text such as "angle S N A".

    Raises
    ------
    UserError
        If it is no definition.
    """
    called = clean_name(name)
    if not called:
        raise UserError(f"The measurement {text.strip()!r} has no name. Put one before it.")
    try:
        kind, *words = shlex.split(text)
    except ValueError as error:
        reason = "it is empty" if not text.strip() else str(error).lower()
        raise _refusal(called, text, reason) from None
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "/":
            parts.append([])
        else:
            parts[-1].append(clean_name(word))
    form = _FORMS.get((kind.lower(), tuple(len(part) for part in parts)))
    if form is None:
        raise _refusal(called, text, "no measurement is written so")
    points = tuple(point for part in parts for point in part)
    for pair in _pairs(form, points):
        if pair[0] == pair[1]:
            raise _refusal(called, text, f"{pair[0]!r} stands twice where two points are due")
    return Measurement(called, form, points)


def parse_definitions(lines: Iterable[str]) -> tuple[Measurement, ...]:
    """Return what lines "NAME = DEFINITION" define; empty ones and those after "#" are left out.

    Raises
    ------
    UserError
        If a line is no definition; see `check_definitions`.
    """
    found = []
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, text = _cut(line)
        if not equals:
            raise UserError(f"The line {line.strip()!r} has no '='. Due is 'SNA = angle S N A'.")
        found.append(parse_definition(name, text))
    return check_definitions(found)


def with_renamed(lines: Iterable[str], renames: Mapping[str, str]) -> tuple[str, ...]:
    """Return lines of definitions in which landmarks are called otherwise.

    Parameters
    ----------
    lines
        As of `parse_definitions`; a line that is none, or would be none, stays as it is written.
    renames
        Former to present name of landmarks.
    """
    return tuple(_renamed(line, renames) for line in lines)


def _renamed(line: str, renames: Mapping[str, str]) -> str:
    try:
        name, _, text = _cut(line)
        found = parse_definition(name, text)
        if found.kind == "difference" or not renames.keys() & set(found.points):
            return line
        fresh = replace(found, points=tuple(renames.get(p, p) for p in found.points))
        return parse_definition(fresh.name, fresh.text).line
    except (UserError, ValueError):  # shlex raises the latter for a quotation mark that is open
        return line


def check_definitions(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Return measurements that fit together.

    Raises
    ------
    UserError
        If two have one name, or a difference is not of two alike that stand before it.
    """
    units: dict[str, str] = {}
    for each in measurements:
        if each.name in units:
            raise UserError(f"Two measurements are called {each.name!r}. Name them apart.")
        if each.kind == "difference":
            missing = [name for name in each.points if name not in units]
            if missing:
                raise _refusal(each.name, each.text, f"no measurement {missing[0]!r} before it")
            if units[each.points[0]] != units[each.points[1]]:
                raise _refusal(each.name, each.text, "one is a length, the other an angle")
            units[each.name] = units[each.points[0]]
        else:
            units[each.name] = "deg" if "angle" in each.kind else "px"
    return tuple(measurements)


def is_angle(measurements: Sequence[Measurement]) -> dict[str, bool]:
    """Return by name whether a measurement is an angle rather than a length."""
    found: dict[str, bool] = {}
    for each in measurements:
        of_first = found.get(each.points[0], False)
        found[each.name] = of_first if each.kind == "difference" else "angle" in each.kind
    return found


def needed_landmarks(measurements: Iterable[Measurement]) -> tuple[str, ...]:
    """Return the names of the landmarks that measurements need, each once."""
    names = (p for each in measurements if each.kind != "difference" for p in each.points)
    return tuple(dict.fromkeys(names))


def measure(
    measurements: Sequence[Measurement],
    places: Mapping[str, Place],
    spacing_mm: Spacing | None = None,
) -> dict[str, Measured]:
    """Return every measurement of one image, by name.

    Parameters
    ----------
    measurements
        Of `parse_definitions`.
    places
        `(x, y)` in pixels by name of the landmark; those without a place are left out.
    spacing_mm
        Distance of pixels, `(x, y)`, in mm; None if not known.

    Returns
    -------
    dict
        `NOTHING` where a landmark is missing, or an angle has a side of no length.
    """
    found: dict[str, Measured] = {}
    for each in measurements:
        if each.kind == "difference":
            one, other = (found[name] for name in each.points)
            found[each.name] = _difference(one, other)
        elif all(point in places for point in each.points):
            found[each.name] = _measured(each.kind, [places[p] for p in each.points], spacing_mm)
        else:
            found[each.name] = NOTHING
    return found


def _measured(kind: Kind, points: Sequence[Place], spacing: Spacing | None) -> Measured:
    in_mm = None if spacing is None else [(x * spacing[0], y * spacing[1]) for x, y in points]
    if "angle" in kind:
        return Measured(degrees=_angle(kind, points if in_mm is None else in_mm))
    px = _length(kind, points)
    return Measured(px, None if in_mm is None else _length(kind, in_mm))


def _length(kind: Kind, points: Sequence[Place]) -> float | None:
    if kind == "distance":
        return math.dist(*points)
    (px, py), (ax, ay), (bx, by) = points
    along = math.hypot(bx - ax, by - ay)
    return ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) / along if along else None


def _angle(kind: Kind, points: Sequence[Place]) -> float | None:
    if kind == "angle":
        first, middle, last = points
        one, other = _way(middle, first), _way(middle, last)
    else:
        one, other = _way(*points[:2]), _way(*points[2:])
    if not any(one) or not any(other):
        return None
    cross = one[0] * other[1] - one[1] * other[0]
    # The arc cosine would lose half of the digits near 0 and 180 degrees.
    return math.degrees(math.atan2(abs(cross), one[0] * other[0] + one[1] * other[1]))


def _difference(one: Measured, other: Measured) -> Measured:
    return Measured(
        *(
            None if a is None or b is None else a - b
            for a, b in (
                (one.px, other.px),
                (one.mm, other.mm),
                (one.degrees, other.degrees),
            )
        )
    )


def _way(start: Place, end: Place) -> Place:
    return end[0] - start[0], end[1] - start[1]


def _pairs(kind: Kind, points: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return which points have to be two."""
    if kind == "angle":
        return [(points[0], points[1]), (points[1], points[2])]
    if kind == "line angle":
        return [(points[0], points[1]), (points[2], points[3])]
    return [(points[-2], points[-1])]


def _quoted(name: str) -> str:
    return shlex.quote(name) if set(name) & set(" \t'\"\\/=#") else name


def _cut(line: str) -> tuple[str, str, str]:
    """Cut a line at the first "=" that is not in quotation marks."""
    quote = ""
    for at, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "=":
            words = line[:at].strip()
            is_quoted = len(words) > 1 and words[0] in "'\"" and words[-1] == words[0]
            return " ".join(shlex.split(words)) if is_quoted else words, "=", line[at + 1 :]
    return line, "", ""


def _refusal(name: str, text: str, reason: str) -> UserError:
    return UserError(f"Measurement {name!r}, {text.strip()!r}: {reason}. {_DUE}.")
