"""Names in annotation files: find the picture that is meant, never one outside the folder."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from napari_medssl._errors import UserError
from napari_medssl.io.images import image_size
from napari_medssl.io.sniff import PICTURE_SUFFIXES

_BESIDE = ("", "images", "../images", "../JPEGImages", "../../images")
_DRIVE_OR_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_UNFIT = re.compile(r'[\x00-\x1f<>:"|?*\\]')


def is_safe_name(name: str) -> bool:
    """Say whether `name` stays inside the folder that it is relative to, on any system."""
    parts = name.replace("\\", "/").split("/")
    return (
        bool(name.strip())
        and "\0" not in name
        and not name.startswith(("/", "\\"))
        and not _DRIVE_OR_SCHEME.match(name)
        and ".." not in parts
    )


def find_picture(name: str, near: Path, root: Path, images: Path | None = None) -> Path | None:
    """Return the file that `name` means, None if there is none or the name must not be followed.

    It is looked for in `images` if that is given, else in `near`, the folder of the annotation
    file, and in the folders that tools put beside it. A file outside `root` is never returned,
    wherever links or dots may lead.
    """
    if not is_safe_name(name):
        return None
    relative = name.replace("\\", "/")
    places = [images] if images else [near / place for place in _BESIDE]
    limit = (images or root).resolve()
    for place in places:
        for tail in dict.fromkeys((relative, PurePosixPath(relative).name)):
            try:
                found = (place / tail).resolve()
                if found.is_file() and found.is_relative_to(limit):
                    return found
            except (OSError, ValueError):  # a name that is too long for this system
                continue
    return None


def find_by_stem(stem: str, near: Path, images: Path | None = None) -> Path | None:
    """Return the picture whose name is `stem` with a suffix, in the usual places of YOLO sets.

    For `labels/train` that is `images/train`, for any other folder itself and `images` in it.
    """
    labels = next((up for up in (near, *near.parents) if up.name == "labels"), None)
    places = [near, near / "images"]
    if labels is not None:
        places.insert(0, labels.parent / "images" / near.relative_to(labels))
    for place in [images] if images else places:
        for suffix in sorted(PICTURE_SUFFIXES):
            for spelled in (suffix, suffix.upper()):
                found = place / f"{stem}{spelled}"
                if found.is_file():
                    return found.resolve()
    return None


def relative_name(picture: Path, root: Path) -> str:
    """Return the name of `picture` below `root`, with forward slashes, else its bare name."""
    try:
        return picture.relative_to(root.resolve()).as_posix()
    except ValueError:
        return picture.name


def stated_or_real_size(width: int, height: int, picture: Path | None) -> tuple[int, int]:
    """Return the size that the file states, else that of `picture`, else (0, 0)."""
    if width and height:
        return width, height
    if picture is None:
        return 0, 0
    try:
        return image_size(picture)
    except UserError:
        return 0, 0


def file_stem(name: str) -> str:
    """Return a file name without suffix for what belongs to the picture `name`, safe anywhere.

    "a/b.png" gives "a_b", "paper.pdf#page=3" gives "paper.pdf#page=3".
    """
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part not in ("", "/", ".", "..")]
    if parts and "#page=" not in parts[-1]:
        parts[-1] = PurePosixPath(parts[-1]).stem
    return safe_part("_".join(parts))


def safe_part(text: str) -> str:
    """Return `text` as a part of a file name that every system takes, at most 180 characters."""
    fit = _UNFIT.sub("_", text.replace("/", "_")).strip(" .")
    return fit.encode("utf-8", "replace").decode()[:180] or "image"


def unique_stems(names: list[str]) -> list[str]:
    """Return one stem for each of `names`, no two alike even where case does not count."""
    taken: set[str] = set()
    stems = []
    for name in names:
        stem = first = file_stem(name)
        number = 2
        while stem.casefold() in taken:
            stem = f"{first}-{number}"
            number += 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems
