"""Which library is open: the one without a name that a person begins with, or one of their own."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from napari_medssl._errors import UserError
from napari_medssl.state.slide_library import SUFFIX, SlideLibrary

_STEM = "Slides"
_MOST_WINDOWS = 50


def libraries_folder() -> Path:
    """Return the folder of libraries without a place of their own, which need not exist."""
    return Path(platformdirs.user_data_dir("napari-medssl", appauthor=False)) / "libraries"


def open_usual_library(folder: Path | None = None) -> SlideLibrary:
    """Open the library that was used last time without a name.

    Where another window has it open, or it is damaged, the next one is opened or made.

    Raises
    ------
    UserError
        If none can be opened, such as where the folder cannot be written to.
    """
    folder = folder or libraries_folder()
    for number in range(1, _MOST_WINDOWS + 1):
        stem = _STEM if number == 1 else f"{_STEM} {number}"
        try:
            return SlideLibrary.open(folder / f"{stem}{SUFFIX}")
        except UserError as error:
            reason = error
    raise reason


def is_usual(library: SlideLibrary, folder: Path | None = None) -> bool:
    """Tell whether a library has no place of its own."""
    return library.folder.parent == (folder or libraries_folder())
