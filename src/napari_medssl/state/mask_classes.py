"""The classes of a set of masks: a number for the pixels, a name and a colour for people.

A number means one colour in all images of the set, and one name, unless a model that has another
name for it made the mask of an image. A class begins with a model, or a person adds it to paint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.state.mask_items import MaskImage

MOST = 255
_COLOR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class MaskClass:
    """A class of a set.

    Attributes
    ----------
    name, color
        What it is called, and "#rrggbb"; "" for the colour that its number has anyway.
    of
        What the model that it came from, or that learned it last, calls it, "" for none: another
        mask by that model gets the name that a person has chosen.
    """

    name: str
    color: str = ""
    of: str = ""


Classes = dict[int, MaskClass]


def classes_to_rows(classes: Mapping[int, MaskClass]) -> list[list[Any]]:
    """Return classes as JSON lists."""
    return [[number, one.name, one.color, one.of] for number, one in sorted(classes.items())]


def classes_from_rows(rows: Iterable[Sequence[Any]]) -> Classes:
    """Return the classes of `classes_to_rows`; ValueError if they are something else."""
    found = {}
    for number, name, color, of in rows:
        if not (1 <= int(number) <= MOST and (not color or _COLOR.fullmatch(str(color)))):
            raise ValueError(f"class {number!r} of the colour {color!r}")
        found[int(number)] = MaskClass(str(name), str(color), str(of))
    return found


def class_names(classes: Mapping[int, MaskClass], item: MaskImage) -> dict[int, str]:
    """Return the classes that an image may have by number: those of its model before the set's."""
    own = dict(enumerate(item.classes, start=1))
    return dict(sorted(({number: one.name for number, one in classes.items()} | own).items()))


def with_model(classes: Classes, names: Sequence[str]) -> tuple[Classes, tuple[str, ...]]:
    """Take in the classes 1, 2 and so on of a model.

    Returns
    -------
    classes, names
        The set's, and what the model's are called in it.
    """
    found, called = dict(classes), []
    for number, name in enumerate(names, start=1):
        known = found.setdefault(number, MaskClass(name, of=name))
        if known.name == name:  # it may be renamed later
            found[number] = replace(known, of=name)
        called.append(known.name if known.of == name else name)
    return found, tuple(called)


def clash(
    classes: Mapping[int, MaskClass], names: Sequence[str], *, is_painted: bool = False
) -> int:
    """Return the first number that a person gave to a class and a model to another, 0 for none.

    Parameters
    ----------
    classes
        Those of the set.
    names
        What the model calls its classes 1, 2 and so on.
    is_painted
        Whether a person painted a mask from nothing, so that classes of a model are the person's.
    """
    for number, name in enumerate(names, start=1):
        known = classes.get(number)
        if known is None or (known.of and not is_painted):
            continue
        if name.casefold() not in (known.name.casefold(), known.of.casefold()):
            return number
    return 0


def with_added(classes: Classes, used: Iterable[int], name: str = "") -> tuple[Classes, int]:
    """Add a class.

    Parameters
    ----------
    classes
        Those of the set.
    used
        Further numbers that mean something already.
    name
        Of the new class; "" for "class 3" or the like.

    Returns
    -------
    classes, number
        The set's, and the number of the new one: the first above all others.

    Raises
    ------
    UserError
        If there is no number left, or a class has that name.
    """
    number = max((0, *classes, *used)) + 1
    if number > MOST:
        free = set(range(1, MOST + 1)) - set(classes) - set(used)
        if not free:
            raise UserError(f"There are {MOST} classes already; a mask holds no more.")
        number = min(free)
    return {**classes, number: MaskClass(_free(classes, number, name or f"class {number}"))}, number


def renamed(
    classes: Classes, items: Mapping[int, MaskImage], number: int, old: str, name: str
) -> tuple[Classes, dict[int, MaskImage]]:
    """Call a class by another name in all images that called it by the old one.

    Returns
    -------
    classes, items
        The set's, and the images that change.

    Raises
    ------
    UserError
        If another class has that name.
    """
    name = _free(classes, number, " ".join(name.split()) or f"class {number}")
    changed = {}
    for key, item in items.items():
        if number <= len(item.classes) and item.classes[number - 1] == old:
            names = [*item.classes]
            names[number - 1] = name
            changed[key] = replace(item, classes=tuple(names))
    known = classes.get(number)
    if known is None:
        return {**classes, number: MaskClass(name, of=old if changed else "")}, changed
    if known.name != old:  # that of another model
        return classes, changed
    return {**classes, number: replace(known, name=name)}, changed


def recolored(classes: Classes, number: int, name: str, color: str) -> Classes:
    """Give a class a colour, "#rrggbb"; `name` is for one that the set does not know yet."""
    if not _COLOR.fullmatch(color.lower()):
        raise UserError(f"{color!r} is no colour; due is one such as '#ff8800'.")
    known = classes.get(number, MaskClass(name))
    return {**classes, number: replace(known, color=color.lower())}


def _free(classes: Mapping[int, MaskClass], number: int, name: str) -> str:
    for other, one in classes.items():
        if other != number and one.name.casefold() == name.casefold():
            raise UserError(f"Class {other} is called {one.name!r} already. Give another name.")
    return name
