"""Which class of a model is which class of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.segmentation_data import NAMES, PairTable


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """The classes of a model as those of the data.

    Attributes
    ----------
    names
        Of classes 1, 2 and so on of the data, as the report calls them.
    numbers
        For each class number of the model, 0 first, that of the data.
    by
        How they were matched.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    by: Literal["name", "number"]

    def apply(self, found: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a segmentation in class numbers of the data."""
        return np.array(self.numbers, np.uint8)[found]


def match_classes(model: str, known: Sequence[str], table: PairTable) -> ClassMatch:
    """Return which of a model's classes is which of a table.

    By name where both have the same names, in any order; by number where the data has none
    (`classes.csv`), or the model's are but numbers, or there is one class.

    Parameters
    ----------
    model
        Its name.
    known
        Names of its classes 1, 2 and so on.

    Raises
    ------
    UserError
        If it has more or fewer classes, or others.
    """
    if len(known) != len(table.classes):
        raise UserError(
            f"Model {model!r} knows {_counted(known)}, {table.folder.name!r} has "
            f"{_counted(table.classes)}. Due are as many; one that no mask has can be named in "
            f"{NAMES} (class,name)."
        )
    of_model, of_data = ([name.casefold() for name in names] for names in (known, table.classes))
    if set(of_model) == set(of_data) and len(set(of_data)) == len(of_data):
        places = tuple(of_data.index(name) + 1 for name in of_model)
        return ClassMatch(table.classes, (0, *places), "name")
    has_names = not all(name.isdecimal() for name in known)
    if table.has_names and has_names and len(known) > 1:
        raise UserError(
            f"Model {model!r} knows the classes {', '.join(known)}, {table.folder.name!r} has "
            f"{', '.join(table.classes)}. Due are the same names; write the model's into {NAMES}."
        )
    names = tuple(known) if has_names and not table.has_names else table.classes
    return ClassMatch(names, tuple(range(len(known) + 1)), "number")


def _counted(names: Sequence[str]) -> str:
    what = "class" if len(names) == 1 else "classes"
    return f"{len(names)} {what} ({', '.join(names)})"
