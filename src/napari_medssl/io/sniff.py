"""Tell what a file is by its first bytes: names lie, contents seldom."""

from __future__ import annotations

from pathlib import Path

from napari_medssl._errors import UserError

PICTURE_SUFFIXES = frozenset(
    (
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif"),
        *(".tif", ".tiff", ".webp", ".bmp", ".gif", ".pdf"),
    )
)
"""Suffixes of files that a person expects us to read, in lower case."""

_HEAD = 1024  # a PDF may have junk before its header, within the first kilobyte

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)


def picture_kind(path: Path) -> str | None:
    """Return "png", "jpeg", "gif", "tiff", "webp", "bmp", "pdf", or None for anything else.

    Only regular files are opened: a pipe or a device could hold us for ever. Raises `UserError`
    for a file that is missing, empty or not to be opened.
    """
    head = _read_head(path)
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if b"%PDF-" in head:
        return "pdf"
    if (
        head.startswith(b"BM")
        and len(head) >= 18
        and head[14] in (12, 16, 40, 52, 56, 64, 108, 124)
    ):
        return "bmp"
    return None


def _read_head(path: Path) -> bytes:
    try:
        if not path.is_file():
            what = "it is not a plain file" if path.exists() else "there is no such file"
            raise UserError(f"Cannot read {str(path)!r}: {what}.")
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except UserError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"Cannot read {str(path)!r}: {reason}.") from error
    if not head:
        raise UserError(f"Cannot read {str(path)!r}: the file is empty.")
    return head
