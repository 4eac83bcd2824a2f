"""Where sets without a place of their own are kept, and what they are called."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import platformdirs

_MARK = re.compile(r" [0-9a-f]{8}$")  # tells folders of one name apart, see `own_name`


def sets_folder(kind: str) -> Path:
    """Return the folder of sets of a kind, such as "landmarks", which need not exist."""
    return Path(platformdirs.user_data_dir("napari-medssl", appauthor=False)) / kind


def own_name(folder: Path, suffix: str) -> str:
    """Return the name of the set of a folder of images, the same each time.

    Parameters
    ----------
    folder
        Where the images are.
    suffix
        How names of such sets end.
    """
    mark = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{folder.name or 'images'} {mark}{suffix}"


def shown_name(place: Path) -> str:
    """Return what a set is called for people: its name without what `own_name` added."""
    return _MARK.sub("", place.stem)
