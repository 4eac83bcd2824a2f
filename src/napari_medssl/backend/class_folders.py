"""Pictures whose class is the folder that they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError


def classes_of(folder: Path, names: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the classes, and the number of that of each picture.

    Parameters
    ----------
    folder
        That holds a folder for each class.
    names
        Paths of the pictures below it.

    Raises
    ------
    UserError
        If a picture lies in no folder of a class, or there are fewer than two classes.
    """
    parts = [name.split("/", 1) for name in names]
    beside = [part[0] for part in parts if len(part) == 1]
    if beside:
        raise UserError(
            f"{beside[0]!r} lies in {str(folder)!r} itself, and so has no class. Put each picture "
            "into a folder that is named after its class."
        )
    classes, truth = np.unique([part[0] for part in parts], return_inverse=True)
    if len(classes) < 2:
        raise UserError(
            f"{str(folder)!r} holds pictures of {len(classes)} class; at least 2 are due, a folder "
            "each."
        )
    return [str(name) for name in classes], truth.astype(np.int64)
