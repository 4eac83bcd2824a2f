"""Copy a set of images to a new folder, with the pictures that lie in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from napari_medssl._errors import UserError


class _HasSource(Protocol):
    @property
    def source(self) -> str: ...


T = TypeVar("T", bound=_HasSource)


def copy_folder(folder: Path, target: Path) -> None:
    """Copy a saved folder of `state.item_folder`, without its lock.

    Raises
    ------
    UserError
        If there is something at `target` already, or it cannot be written; nothing is left then.
    """
    if target.exists():
        raise UserError(f"There is something at {str(target)!r} already. Choose a new name.")
    try:
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("lock", "damaged"))
    except (OSError, shutil.Error) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise UserError(f"Cannot write {str(target)!r}: {error}.") from error


def moved_pictures(images: Mapping[int, T], former: Path, folder: Path) -> dict[int, T]:
    """Return those of some images that lay in a folder, as images of its copy."""
    start = f"{former}{os.sep}"
    return {
        # Protocols know no dataclasses.
        key: replace(image, source=str(folder / image.source[len(start) :]))  # type: ignore[type-var]
        for key, image in images.items()
        if image.source.startswith(start)
    }
