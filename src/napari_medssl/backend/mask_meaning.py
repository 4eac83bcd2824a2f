"""What the numbers in a set of masks mean: classes, or foreground and background.

One decision holds for the whole set. Without a person's word it is, in this order:

- numbers that a table or our widget gives meaning to: those;
- 0 and 255 alone: background and foreground;
- a number over 31 (but 255) anywhere, or more than 8 numbers that run from 1 without a gap in every
  mask, up to others in different masks: numbers of objects, which are foreground all;
- else classes. 255 beside classes marks pixels that nobody has painted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.labelled_pairs import some_names
from napari_medssl.backend.pair_tables import MOST_CLASSES

MASK_VALUES = ("auto", "classes", "foreground")
FOREGROUND = "foreground"
NOT_PAINTED = 255
"""Class of pixels that are left out of training."""

_MANY = 8
_NUMBERS = re.compile(r"[0-9]{1,9}(\|[0-9]{1,9})*")
_FORCE = "Say --mask-values {} if that is wrong."


@dataclass(frozen=True, slots=True)
class MaskMeaning:
    """How masks become classes.

    Attributes
    ----------
    names
        Of classes 1, 2 and so on.
    numbers
        The value of each class in the masks; none if all but 0 is foreground.
    allowed
        Those of `numbers` that may be there; a table need not name all.
    remark
        What was decided, for a person.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    allowed: frozenset[int] = frozenset()
    remark: str = ""

    def classes_of(self, values: NDArray[np.integer], name: str) -> NDArray[np.uint8]:
        """Return the class of each pixel, uint8, shape (Y, X), 255 where nobody has painted.

        Raises
        ------
        UserError
            If a value is of no class, or nothing of the mask called `name` is painted.
        """
        classes = np.zeros(values.shape, np.uint8)
        if not self.numbers:
            classes[values != 0] = 1
            return classes
        taken = {0: 0, 255: NOT_PAINTED}
        taken |= {n: at for at, n in enumerate(self.numbers, start=1) if n in self.allowed}
        found = np.unique(values).tolist()
        odd = [value for value in found if value not in taken]
        if odd:
            raise UserError(
                f"Mask {name!r} has the value {odd[0]}, which is no class; due are "
                f"{self._due()}, or 255 where nothing is painted."
            )
        if found == [255] and taken[255] == NOT_PAINTED:
            raise UserError(f"Nothing in the mask {name!r} is painted: all of it is 255.")
        for value in found:
            classes[values == value] = taken[value]
        return classes

    def _due(self) -> str:
        own = sorted(self.allowed - {255})
        if own == list(range(1, len(own) + 1)):
            return f"0 to {len(own)}"
        return ", ".join(map(str, [0, *own]))


def choose_meaning(
    found: Sequence[frozenset[int]],
    masks: str,
    class_names: dict[int, str],
    labels: Sequence[str] = (),
    *,
    is_painted: bool = False,
) -> MaskMeaning:
    """Return what the numbers of a set of masks mean.

    Parameters
    ----------
    found
        The values in each mask.
    masks
        One of `MASK_VALUES`.
    class_names
        Names of numbers that a table or a set gives.
    labels
        What a table says of the values of each mask, as `0|1|2`; "" for nothing.
    is_painted
        Whether the masks are of our widget: their numbers are classes.

    Raises
    ------
    UserError
        If `masks` is none of `MASK_VALUES`, or classes are asked for and there are too many.
    """
    if masks not in MASK_VALUES:
        raise UserError(f"--mask-values {masks!r} came; due is one of {', '.join(MASK_VALUES)}.")
    values = frozenset[int]().union(*found)
    if values <= {0}:
        raise UserError(
            f"All {len(found)} masks are empty: nothing is labelled. Paint a class in one at least."
        )
    if masks == "foreground":
        return _foreground(class_names, "Every number but 0 is taken as foreground, as asked.")
    told = [text for text in labels if text]
    numeric = bool(told) and all(_NUMBERS.fullmatch(text) for text in told)
    if numeric:
        return _by_labels(told, class_names)
    if any(number > MOST_CLASSES and number != 255 for number in class_names):
        return _listed(sorted(class_names), class_names)
    if is_painted:
        painted = {n: str(n) for n in values if 0 < n <= MOST_CLASSES}
        return _as_classes(values, painted | class_names)
    if masks == "classes":
        return _as_classes(values, class_names)
    if told:
        return _foreground(
            class_names,
            f"The labels of the table ({told[0]!r}) are words: masks are taken as foreground and "
            f"background. {_FORCE.format('classes')}",
        )
    return _by_looks(found, values, class_names)


def _by_looks(
    found: Sequence[frozenset[int]], values: frozenset[int], class_names: dict[int, str]
) -> MaskMeaning:
    if values <= {0, 255} and 255 in values and len(class_names) < 2:
        return _foreground(class_names, "Masks hold 0 and 255: background and foreground.")
    if class_names:
        return _as_classes(values, class_names)
    large = [numbers for numbers in found if any(n > MOST_CLASSES and n != 255 for n in numbers)]
    if large:
        counted = f"{len(large)} of {len(found)} masks"
        what = f"{counted} have numbers over {MOST_CLASSES} (to {max(values)})"
    elif _are_objects(found):
        what = (
            f"The numbers of each mask run from 1 without a gap, to {max(values - {255})} at most"
        )
    else:
        return _as_classes(values, class_names)
    return _foreground(
        class_names,
        f"{what}: taken as numbers of objects, which are foreground all. "
        f"{_FORCE.format('classes')}",
    )


def _are_objects(found: Sequence[frozenset[int]]) -> bool:
    """Say whether the masks look like numbered objects: 1 to n in each, n differing and large."""
    tops = set()
    for numbers in found:
        own = numbers - {0}
        if own and own != set(range(1, len(own) + 1)):
            return False
        tops.add(len(own))
    return max(tops, default=0) > _MANY and len(tops - {0}) > 1


def _foreground(class_names: dict[int, str], remark: str) -> MaskMeaning:
    name = next(iter(class_names.values())) if len(class_names) == 1 else FOREGROUND
    return MaskMeaning((name,), remark=remark)


def _as_classes(values: frozenset[int], class_names: dict[int, str]) -> MaskMeaning:
    """Return the meaning of numbers that are classes; gaps are classes that nobody painted."""
    named = frozenset(class_names) - {255}
    allowed = named or {v for v in values if 0 < v <= MOST_CLASSES}
    top = max(allowed, default=0)
    if not top:
        raise UserError(
            f"The masks hold {some_numbers(sorted(values))}; due are classes of 1 to "
            f"{MOST_CLASSES}. Number the classes so, or say --mask-values foreground."
        )
    names = tuple(class_names.get(n, str(n)) for n in range(1, top + 1))
    numbers = tuple(range(1, top + 1))
    counted = f"{top} class{'es' * (top != 1)} ({some_names(names)})"
    remark = f"The numbers of the masks are taken as {counted}. {_FORCE.format('foreground')}"
    return MaskMeaning(names, numbers, frozenset(allowed), remark)


def _by_labels(told: Sequence[str], class_names: dict[int, str]) -> MaskMeaning:
    """Return the meaning that a table gives; like `segmentation_data`, but for 255."""
    values = {int(value) for text in told for value in text.split("|")} | set(class_names)
    if any(0 < value <= MOST_CLASSES for value in values):
        values.discard(255)
    return _listed(sorted(values - {0}), class_names)


def _listed(values: Sequence[int], class_names: dict[int, str]) -> MaskMeaning:
    """Return the meaning of values that are classes 1, 2 and so on in their order."""
    if len(values) < 2:
        return _foreground(class_names, "The table lists one value: all but 0 is foreground.")
    if len(values) > MOST_CLASSES:
        raise UserError(
            f"The table names {len(values)} values of masks; due are {MOST_CLASSES} at most. Where "
            "they number objects, write words instead, as 'instances', or say --mask-values "
            "foreground."
        )
    names = tuple(class_names.get(value, str(value)) for value in values)
    listed = ", ".join(f"{value} is class {n}" for n, value in enumerate(values, start=1))
    if list(values) == list(range(1, len(values) + 1)):
        listed = f"there are {len(values)} classes ({some_names(names)})"
    return MaskMeaning(names, tuple(values), frozenset(values), f"By the table {listed}.")


def some_numbers(values: Sequence[int]) -> str:
    """Return the first few of some numbers."""
    return ", ".join(map(str, values[:4])) + (" ..." if len(values) > 4 else "")
