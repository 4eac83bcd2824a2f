"""Where the groups of the rows of a source are kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import platformdirs

SUFFIX = ".groups"
"""How the names of such folders end."""


def groups_place(source: Path | str, data_folder: Path | None = None) -> Path:
    """Return where the groups of a source are: beside it, else in the user's data folder.

    Parameters
    ----------
    source
        A file or folder, or the URL of a library.
    data_folder
        Where they are if nothing can be written beside it; None for the program's own.
    """
    path = Path(source).expanduser().absolute()
    beside = path.with_name(f"{path.name}{SUFFIX}")
    if path.exists() and os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return beside
    whole = str(path if path.exists() else source)
    mark = hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    folder = data_folder or Path(platformdirs.user_data_dir("napari-medssl", appauthor=False))
    return folder / "groups" / f"{path.name or 'rows'} {mark}{SUFFIX}"
