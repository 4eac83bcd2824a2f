"""Names of pictures: in a run by their paths, in a set of images each with one of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from napari_medssl.io.images import ImageRef

_NO_NAME_HOLDS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


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


def clean_image_name(name: str) -> str:
    """Return the name of an image as it is kept: on one line, without white space around it."""
    return _NO_NAME_HOLDS.sub("\ufffd", name).strip()


def free_name(name: str, ref: ImageRef, taken: set[str]) -> str:
    """Return a name that is not taken: with that of its folder before it, or else a number."""
    if name in taken:
        name = f"{ref.path.parent.name}/{name}"
    numbered, number = name, 1
    while numbered in taken:
        number += 1
        numbered = f"{name} ({number})"
    return numbered


def _common_folder(paths: Sequence[Path]) -> Path | None:
    """Return the innermost folder that holds all of `paths`; None if they lie on several drives."""
    try:
        return Path(os.path.commonpath([path.absolute().parent for path in paths]))
    except ValueError:
        return None


def _below(root: Path | None, path: Path) -> Path:
    return path if root is None else path.absolute().relative_to(root)
