"""Where sets of landmarks lie that nobody chose a place for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import platformdirs

from napari_medssl.state.landmark_folder import SUFFIX


def sets_folder() -> Path:
    """Return the folder of sets without a place of their own, which need not exist."""
    return Path(platformdirs.user_data_dir("napari-medssl", appauthor=False)) / "landmarks"


def own_name(folder: Path) -> str:
    """Return the name of the set of a folder of images, the same each time."""
    mark = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{folder.name or 'images'} {mark}{SUFFIX}"
