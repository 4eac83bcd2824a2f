"""Name the pictures of a run: each by its path below the folder that holds all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from napari_medssl.io.images import ImageRef


def full_name(ref: ImageRef) -> str:
    """Return the path of a picture and its page: "scans/a.tif#page=2"."""
    path = ref.path.as_posix()
    return path if ref.page is None else f"{path}#page={ref.page}"


def short_names(refs: Sequence[ImageRef]) -> list[str]:
    """Return a name for each picture, below the innermost folder that holds all of them.

    Pictures of one folder have their file names. No two names are the same, unless a picture is
    listed twice.
    """
    root = _common_folder([ref.path for ref in refs])
    return [full_name(ImageRef(_below(root, ref.path), ref.page)) for ref in refs]


def _common_folder(paths: Sequence[Path]) -> Path | None:
    """Return the innermost folder that holds all of `paths`; None if they lie on several drives."""
    try:
        return Path(os.path.commonpath([path.absolute().parent for path in paths]))
    except ValueError:
        return None


def _below(root: Path | None, path: Path) -> Path:
    return path if root is None else path.absolute().relative_to(root)
